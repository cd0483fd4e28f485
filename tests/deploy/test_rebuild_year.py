"""A year of trials, renewals, seat changes, quotes and cancellations: the log alone gives what every service stores."""

import io
from contextlib import AsyncExitStack

import pytest
from rich.console import Console

from contracts.topics import READERS
from deploy.addonflow import year_demo
from deploy.addonflow.audit import audit
from deploy.addonflow.history import logs
from deploy.addonflow.rebuild_compare import LiveShard
from deploy.addonflow.rebuild_shard import process_of, shard_fold
from deploy.addonflow.rest import reach_redis
from services.runtime.settings import Settings
from services.runtime.telling import Difference
from services.runtime.virtual_clock import virtual_now

pytestmark = [pytest.mark.embedded, pytest.mark.usefixtures("embedded")]


async def differences(settings: Settings, service: str) -> tuple[int, list[Difference]]:
    """Fold a service's history and compare it with what is stored; return how many accounts there are, and the rest."""
    accounts, found = 0, []
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(reach_redis(settings))
        log = await stack.enter_async_context(logs(settings))
        until = await virtual_now(redis, settings.namespace)
        assert until is not None
        process = process_of(service, settings)
        for shard in range(settings.partitions):
            fold = await shard_fold(process, log, shard, until)
            live = LiveShard(redis, settings.namespace, service, shard, process.decider)
            for page in fold.pages():
                accounts += len(page)
                found += [difference for account in page for difference in account.differences]
                found += await live.differences(page)
            found += await live.strangers(set(fold.history.accounts))
    return accounts, found


async def test_a_year_can_be_rebuilt_and_audited(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the year of the demo the fold of every service is its state, and the audit finds nothing."""
    play, folded, audited = year_demo._play, {}, []

    async def play_and_compare(settings: Settings, console: Console) -> None:
        await play(settings, console)
        folded.update({service: await differences(settings, service) for service in READERS})
        audited.append(await audit(settings, Console(file=io.StringIO())))

    monkeypatch.setattr(year_demo, "_play", play_and_compare)
    await year_demo.played(Console(file=io.StringIO()))
    assert {service: found for service, (_, found) in folded.items()} == {service: [] for service in READERS}
    assert all(accounts for accounts, _ in folded.values())
    assert audited == [0]
