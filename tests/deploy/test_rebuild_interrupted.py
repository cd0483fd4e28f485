"""A rebuild that ends in the middle: the service does not start, and the same command from the start puts it right."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import pytest

from deploy.addonflow import rebuild as rebuilding
from deploy.addonflow.rebuild_store import FreshShard
from tests.deploy.test_rebuild import (
    bare_deployment,
    deployment,
    forget,
    keys_of,
    new_deployment,
    play,
    rebuild,
    running,
    said,
)
from tests.e2e.observe import Deployment
from tests.e2e.services import SERVICES
from tests.e2e.test_refusals import refusal

__all__ = ["bare_deployment", "deployment", "new_deployment"]  # fixtures
SERVICE = "entitlements"
Patch = Callable[[pytest.MonkeyPatch], None]


class Interrupted(Exception):  # noqa: N818 - named for what happened
    """Somebody pulled the plug."""


def _interrupt(*_: object, **__: object) -> NoReturn:
    raise Interrupted


def among_the_renames(patch: pytest.MonkeyPatch) -> None:
    """Stop when the first shard's keys are removed and some of the new ones are in their place."""
    scan = FreshShard._scan

    async def one_key(self: FreshShard, *, fresh: bool) -> Any:
        async for keys in scan(self, fresh=fresh):
            if not fresh:
                yield keys
            elif keys:
                yield keys[:1]
                raise Interrupted

    switch = FreshShard.switch

    async def interrupted(self: FreshShard) -> tuple[int, int]:
        patch.setattr(FreshShard, "_scan", one_key)
        return await switch(self)

    patch.setattr(FreshShard, "switch", interrupted)


def before_the_offsets(patch: pytest.MonkeyPatch) -> None:
    """Stop when all keys are in their place."""
    patch.setattr(rebuilding, "read_from", _interrupt)


def behind_the_offsets(patch: pytest.MonkeyPatch) -> None:
    """Stop when the offsets are set."""
    set_offsets = rebuilding._Rebuild._set_offsets

    async def interrupted(self: Any) -> None:
        await set_offsets(self)
        raise Interrupted

    patch.setattr(rebuilding._Rebuild, "_set_offsets", interrupted)


def stored(deployment: Deployment, services: Sequence[str] = (SERVICE,)) -> dict[bytes, Any]:
    """Return what services store."""
    return {key: held for service in services for key, held in keys_of(deployment, service).items()}


@pytest.mark.parametrize("interrupt", [among_the_renames, before_the_offsets, behind_the_offsets])
@pytest.mark.parametrize("lost", [True, False], ids=["lost", "stored"])
def test_a_rebuild_from_the_start_puts_an_interrupted_one_right(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, interrupt: Patch, lost: bool
) -> None:
    """Wherever it ended, meanwhile the service refuses to start, and without force all is then as it was before."""
    play(deployment)
    before, all_said = stored(deployment), said(deployment)
    if lost:
        forget(deployment, [SERVICE])
    with monkeypatch.context() as patch:
        interrupt(patch)
        assert isinstance(rebuild(deployment, SERVICE).exception, Interrupted)
    line = refusal(SERVICE, deployment.settings())
    assert f"`addonflow rebuild {SERVICE}`" in line

    done = rebuild(deployment, SERVICE)
    assert done.exit_code == 0, done.output
    assert stored(deployment) == before
    with running(deployment):
        deployment.until_at_rest(*SERVICES)
    assert said(deployment) == all_said
