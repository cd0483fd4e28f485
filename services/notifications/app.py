"""The notifications process: tells Owners what their teams ask for, and everyone concerned what became of it."""

from datetime import timedelta

from contracts.catalog import Catalog
from services.notifications.api import doors
from services.notifications.domain import NotificationsDecider
from services.notifications.handlers import register
from services.runtime import bootstrap
from services.runtime.settings import Settings


def build(settings: Settings) -> bootstrap.Process:
    """Make the process; nothing is connected yet."""
    seconds = settings.digest_delay_seconds
    delay = None if seconds is None else timedelta(seconds=seconds)
    decider = NotificationsDecider(Catalog.load(settings.catalog), delay)
    return bootstrap.Process("notifications", decider, register, settings, doors=doors)


def main() -> int:
    """Run the service; return its exit code."""
    return bootstrap.main(build)
