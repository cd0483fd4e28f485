"""`addonflow erase-member`: forgetting who a removed member was."""

import getpass
from typing import Annotated

import typer
from rich.console import Console

from deploy.addonflow.command import EXIT_REFUSED, EXIT_USAGE, Kafka, RedisUrl, run_to_end, settings_of
from services.runtime.settings import Settings

_REASON = "asked to be erased"


def erase_member(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's id.")],
    user: Annotated[str, typer.Argument(metavar="USER", help="The member's id.")],
    by: Annotated[str | None, typer.Option("--by", help="Who orders it; the user of this machine by default.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why. It is kept: name nobody in it.")] = _REASON,
    message_id: Annotated[str | None, typer.Option("--id", help="The command's ce_id; a fresh one by default.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is kept where.")] = False,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait.")] = 30,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Forget a removed member's name, e-mail, locale and notes. 1 when it is refused, 2 when it is not done in time."""
    settings = settings_of(kafka, redis)
    data = {"account_id": account, "user_id": user, "staff_id": by or getpass.getuser(), "reason": reason}
    run_to_end(_erase(settings, data, message_id, timeout, ask=not yes, dry_run=dry_run))


async def _erase(
    settings: Settings, data: dict[str, str], message_id: str | None, wait_seconds: float, *, ask: bool, dry_run: bool
) -> int:
    from deploy.addonflow.erasing import forgotten, keeping
    from deploy.addonflow.messages import of_data
    from deploy.addonflow.rest import reach_redis
    from deploy.addonflow.send_command import send_and_show

    order = of_data("EraseMember", data, message_id)
    who = (data["account_id"], data["user_id"])
    console = Console(soft_wrap=True)
    async with reach_redis(settings) as redis:
        kept = await keeping(redis, settings, *who)
        kept.print(console)
        if dry_run:
            return 0 if kept.known else EXIT_REFUSED
        typer.echo("their name, e-mail, locale and notes go; what was bought and billed stays, under their id")
        if ask:
            typer.confirm(f"erase {who[1]} of {who[0]} for good?", abort=True)
        status = await send_and_show(settings, [order], wait_seconds)
        if status:
            return status
        kept = await forgotten(redis, settings, *who, wait_seconds)
        kept.print(console)
    if kept.held:
        typer.echo("addonflow: not every service has followed yet: look again with --dry-run", err=True)
    return EXIT_USAGE if kept.held else 0
