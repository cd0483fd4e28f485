"""The entitlements process: checks commands by role and account rules, and says what happened."""

from contracts.catalog import Catalog
from contracts.promises import PromiseKeys
from services.entitlements.api import doors
from services.entitlements.domain import EntitlementsDecider, answer
from services.entitlements.handlers import register
from services.runtime import bootstrap
from services.runtime.settings import Settings


def build(settings: Settings) -> bootstrap.Process:
    """Make the process; nothing is connected yet."""
    decider = EntitlementsDecider(Catalog.load(settings.catalog), PromiseKeys.load(settings.promise_keys))
    return bootstrap.Process("entitlements", decider, register, settings, answer=answer, doors=doors)


def main() -> int:
    """Run the service; return its exit code."""
    return bootstrap.main(build)
