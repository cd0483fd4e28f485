"""`addonflow backup` and `addonflow restore`: the state of the services, written down and put back."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.addonflow.command import Kafka, RedisUrl, run_to_end, settings_of
from services.runtime.clock import from_milliseconds
from services.runtime.settings import Settings


class Restored(StrEnum):
    """What can be restored by itself."""

    ENTITLEMENTS = "entitlements"
    BILLING = "billing"
    NOTIFICATIONS = "notifications"


def backup(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder; personal data goes into it.")],
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Write down the state of all services, as they run, with the offsets that belong to it."""
    from deploy.addonflow.backup import back_up

    run_to_end(back_up(settings_of(kafka, redis), folder, Console(soft_wrap=True)))


def restore(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `addonflow backup` wrote.")],
    service: Annotated[Restored | None, typer.Option("--service", help="Only this one; it must be stopped.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Although state, backup and log differ.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether something differs.")] = False,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Put back the state of a backup and what the log tells since. 1 when something differs, and all stays."""
    services = [service.value] if service else [each.value for each in Restored]
    run_to_end(_restore(settings_of(kafka, redis), folder, services, force=force, dry_run=dry_run))


async def _restore(settings: Settings, folder: Path, services: list[str], *, force: bool, dry_run: bool) -> int:
    from deploy.addonflow.backup_files import Manifest
    from deploy.addonflow.rebuild import rebuild
    from deploy.addonflow.rest import reach_redis
    from services.runtime.virtual_clock import move_clock, virtual_now

    manifest = Manifest.read(folder)
    if manifest.virtual_ms is not None and not dry_run:
        async with reach_redis(settings) as redis:
            if await virtual_now(redis, settings.namespace) is None:
                await move_clock(redis, settings.namespace, from_milliseconds(manifest.virtual_ms))
    console, status = Console(soft_wrap=True), 0
    for service in services:
        status = max(status, await rebuild(settings, service, console, force=force, dry_run=dry_run, folder=folder))
    return status
