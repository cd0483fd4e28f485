"""`addonflow account`: everything about one account."""

import json
from contextlib import aclosing
from typing import Annotated

import typer
from rich.console import Console

from deploy.addonflow.command import EXIT_REFUSED, Kafka, RedisUrl, run_to_end, settings_of
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings

account_app = typer.Typer(no_args_is_help=True, help="One account, across all services.")
AccountId = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Its id.")]
_CONNECT_SECONDS = 5


@account_app.command("show")
def show(
    account: AccountId,
    history: Annotated[bool, typer.Option("--history", help="What happened, from the log, in order of time.")] = False,
    since: Annotated[str | None, typer.Option("--since", metavar="DURATION", help="Of the history: 2h, 3d.")] = None,
    people: Annotated[bool, typer.Option("--people", help="With people's names, addresses and notes.")] = False,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many members, invoices … of each kind.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON; a history as one object a line.")] = False,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Show what the services know of an account and how they stand. 1 when none knows it."""
    settings = settings_of(kafka, redis)
    work = _history(settings, account, since, as_json=as_json) if history else None
    run_to_end(work or _show(settings, account, rows, people=people, as_json=as_json))


async def _show(settings: Settings, account: str, rows: int, *, people: bool, as_json: bool) -> int:
    from deploy.addonflow.account_shown import print_account
    from deploy.addonflow.account_state import AccountState
    from deploy.addonflow.dead_letters import Choice, read_letters
    from deploy.addonflow.history import logs
    from deploy.addonflow.rest import reach_redis
    from services.runtime.keys import shard_of

    shard = shard_of(account, settings.partitions)
    choice = Choice(now=SystemClock().now(), account=account)
    async with reach_redis(settings) as redis, logs(settings, _CONNECT_SECONDS) as log:
        states = await AccountState(redis, settings, rows).of(account)
        async with aclosing(read_letters(log, settings.partitions, choice, (shard,))) as found:
            letters = [letter async for letter, settled in found if settled is None]
    if as_json:
        services = {service: state.as_json() for service, state in states.items()}
        shown = {"account_id": account, "shard": shard, "services": services}
        typer.echo(json.dumps(shown | {"dead_letters": [letter.id for letter in letters]}, ensure_ascii=False))
    else:
        print_account(Console(soft_wrap=True), account, shard, states, letters, people=people)
    known = any(state.version for state in states.values())
    return 0 if known else EXIT_REFUSED


async def _history(settings: Settings, account: str, since: str | None, *, as_json: bool) -> int:
    from deploy.addonflow.account_history import history_of, json_of, line_of
    from deploy.addonflow.clock import duration
    from deploy.addonflow.history import logs

    begin = SystemClock().now() - duration(since) if since is not None else None
    async with logs(settings, _CONNECT_SECONDS) as log:
        found = await history_of(log, settings, account, begin)
    console = Console(soft_wrap=True)
    for seen, depth in found:
        if as_json:
            typer.echo(json_of(seen, depth))
        else:
            console.print(line_of(seen, depth))
    return 0 if found else EXIT_REFUSED
