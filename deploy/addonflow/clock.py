"""Moves the virtual clock of a deployment as time passes: from one due timer to the next, never over one.

So timers fire at their instants and in their order, across all services, and what one causes is seen before the next.
One that a service cannot decide is put off by it, again and again: that is told, and no longer where the clock stops.
"""

import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from deploy.addonflow.messages import BadInput
from deploy.addonflow.rest import TIMERS_READ_MAX, Deployment, DueTimer, Look, until_at_rest
from services.runtime.clock import to_rfc3339
from services.runtime.committing import FAILED_TIMER_DELAY
from services.runtime.errors import ConfigurationError
from services.runtime.virtual_clock import ClockRefused, move_clock, virtual_now

_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_DURATION: Final = re.compile(r"(?:[0-9]+[smhdw])+", re.ASCII)
_PART: Final = re.compile(r"([0-9]+)([smhdw])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Step:
    """The clock was moved to `instant`; `fired` are the timers due by then, in order of time.

    Of these `put_off` could not be decided; they stand where they are due again.
    """

    instant: datetime
    fired: Sequence[DueTimer]
    put_off: Sequence[DueTimer] = ()


def duration(text: str) -> timedelta:
    """Read "31d" or "1d12h" (s, m, h, d, w); BadInput for anything else."""
    if not _DURATION.fullmatch(text):
        raise BadInput(f"{text!r} is no duration: numbers with s, m, h, d or w, such as 31d or 1d12h")
    try:
        return sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta())
    except (OverflowError, ValueError) as error:
        raise BadInput(f"{text!r} is too long") from error


def after(now: datetime, text: str) -> datetime:
    """Return the instant a duration after `now`; BadInput when there is none."""
    try:
        return now + duration(text)
    except OverflowError as error:
        raise BadInput(f"{text!r} is too long") from error


def instant(text: str) -> datetime:
    """Read an RFC 3339 instant with its zone, to the millisecond; BadInput for anything else."""
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is not None:
            read = read.astimezone(UTC)
            return read.replace(microsecond=read.microsecond // 1_000 * 1_000)
    except (ValueError, OverflowError):
        pass
    raise BadInput(f"{text!r} is no instant with its zone, such as 2027-03-01T00:00:00Z")


def shown(moment: datetime) -> str:
    """Return an instant for people: no fraction where there is none."""
    return to_rfc3339(moment).replace(".000000Z", "Z").replace("000Z", "Z")


async def stands_at(deployment: Deployment) -> datetime:
    """Return the virtual time of a deployment; ConfigurationError where it uses the machines' clocks."""
    now = await virtual_now(deployment.agenda.redis, deployment.agenda.namespace)
    if now is None:
        raise ConfigurationError(
            "this deployment uses the machines' clocks: start its services with ADDONFLOW_VIRTUAL_CLOCK=true "
            "(`addonflow up --virtual-clock`)"
        )
    return now


async def advance(
    deployment: Deployment, target: datetime, step_seconds: float, tell: Callable[[Step], None] = lambda _: None
) -> int:
    """Move the clock to `target` from timer to timer, each time waiting for rest; return the number of steps.

    `tell` is told each step when all that came of it has come. Raises NotAtRest when that takes longer than
    `step_seconds`: the clock stays where it is then. ClockRefused when it stands behind `target` already.
    """
    now = await stands_at(deployment)
    if target < now:
        raise ClockRefused(f"the clock stands at {shown(now)} and never goes backwards, not to {shown(target)}")
    look = await until_at_rest(deployment, step_seconds)
    steps = 0
    waiting: frozenset[DueTimer] = frozenset()
    while look.now < target:
        to = await _next_stop(deployment, look, target, waiting)
        fired = await deployment.agenda.due_by(to, look)
        look = await _step(deployment, to, step_seconds)
        put_off = await _put_off(deployment, look, fired)
        waiting = frozenset(put_off).union(timer for timer in waiting if timer.due > to)
        steps += 1
        tell(Step(to, fired, put_off))
    return steps


async def _next_stop(deployment: Deployment, look: Look, target: datetime, waiting: AbstractSet[DueTimer]) -> datetime:
    """Return where the first timer is due that does not wait put off, at most `target`."""
    if not waiting or len(waiting) >= TIMERS_READ_MAX:  # of more than can be read none can be left out
        return min(look.next_due or target, target)
    coming = await deployment.agenda.due_by(target, look)
    return min((timer.due for timer in coming if timer not in waiting), default=target)


async def _put_off(deployment: Deployment, look: Look, fired: Sequence[DueTimer]) -> Sequence[DueTimer]:
    """Return those timers that are due again as a service leaves what it could not decide."""
    again = look.now + FAILED_TIMER_DELAY
    names = {timer[1:] for timer in fired}
    return [timer for timer in await deployment.agenda.due_by(again, look) if timer.due == again and timer[1:] in names]


async def _step(deployment: Deployment, to: datetime, step_seconds: float) -> Look:
    await move_clock(deployment.agenda.redis, deployment.agenda.namespace, to)
    return await until_at_rest(deployment, step_seconds)
