"""`addonflow clock`: shows the time of a deployment with a virtual clock, and moves it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from deploy.addonflow.command import Kafka, RedisUrl, run_to_end, settings_of
from services.runtime.settings import Settings

if TYPE_CHECKING:
    from deploy.addonflow.rest import DueTimer

clock_app = typer.Typer(no_args_is_help=True, help="The virtual clock of a deployment.")
StepSeconds = Annotated[
    float, typer.Option("--step-timeout", min=0, metavar="SECONDS", help="How long what one step causes may take.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
_STEP_SECONDS = 30
_ACCOUNTS_SHOWN_MAX = 3


@clock_app.command("show")
def show(redis: RedisUrl = None) -> None:
    """Say what time it is in the deployment, and which timer is due next."""
    from deploy.addonflow import rest
    from deploy.addonflow.clock import shown
    from services.runtime.virtual_clock import virtual_now

    async def work() -> int:
        settings = settings_of(redis=redis)
        async with rest.reach_redis(settings) as client:
            virtual = await virtual_now(client, settings.namespace) is not None
            agenda = await rest.agenda_of(client, settings)
            look = await agenda.look()
            coming = await agenda.due_by(look.next_due, look) if look.next_due else []
        typer.echo(f"{shown(look.now)} on {'the virtual clock' if virtual else 'the clocks of the machines'}")
        typer.echo(f"next: {shown(coming[0].due)} {_names(coming)}" if coming else "no timer is set")
        return 0

    run_to_end(work())


@clock_app.command("advance")
def advance(
    by: Annotated[str, typer.Argument(metavar="DURATION", help="31d, 1d12h: s, m, h, d and w.")],
    step_seconds: StepSeconds = _STEP_SECONDS,
    quiet: Quiet = False,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Let so much time pass: every timer on the way fires at its instant, one after the other."""
    from deploy.addonflow.clock import after, duration

    async def work() -> int:
        duration(by)
        return await _move(settings_of(kafka, redis), lambda now: after(now, by), step_seconds, quiet=quiet)

    run_to_end(work())


@clock_app.command("set")
def set_to(
    to: Annotated[str, typer.Argument(metavar="INSTANT", help="2027-03-01T00:00:00Z; later than now.")],
    step_seconds: StepSeconds = _STEP_SECONDS,
    quiet: Quiet = False,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Let time pass until an instant: as `advance`, with the end given."""
    from deploy.addonflow.clock import instant

    async def work() -> int:
        target = instant(to)
        return await _move(settings_of(kafka, redis), lambda _: target, step_seconds, quiet=quiet)

    run_to_end(work())


async def _move(settings: Settings, target: Callable[[datetime], datetime], step_seconds: float, *, quiet: bool) -> int:
    from deploy.addonflow import clock
    from deploy.addonflow.rest import reach

    console = Console(soft_wrap=True, quiet=quiet)

    def tell(step: clock.Step) -> None:
        line = Text(f"{clock.shown(step.instant):<24} ", "cyan")
        line.append(_names(step.fired)) if step.fired else line.append("nothing was due", "dim")
        if step.put_off:
            line.append(f"; not decided, see the service's log: {_names(step.put_off)}", "red")
        console.print(line)

    async with reach(settings) as deployment:
        to = target(await clock.stands_at(deployment))
        steps = await clock.advance(deployment, to, step_seconds, tell)
    console.print(f"the clock stands at {clock.shown(to)} after {steps} step{'' if steps == 1 else 's'}")
    return 0


def _names(timers: "Sequence[DueTimer]") -> str:
    """Return "billing renewal ×3 (acme, birch, cedar); notifications digest (acme)"."""
    groups: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for timer in timers:
        groups[timer.service, timer.name].append(timer.account_id)
    return "; ".join(f"{service} {name}{_accounts(accounts)}" for (service, name), accounts in groups.items())


def _accounts(accounts: list[str]) -> str:
    times = f" ×{len(accounts)}" if len(accounts) > 1 else ""
    more = ", …" if len(accounts) > _ACCOUNTS_SHOWN_MAX else ""
    return f"{times} ({', '.join(accounts[:_ACCOUNTS_SHOWN_MAX])}{more})"
