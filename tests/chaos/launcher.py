"""Runs a service with a fault: python -m tests.chaos.launcher <service> <fault> <nth>.

    a name of POINTS   it kills itself (SIGKILL) between two steps
    defect             reading a record raises, as a mistake in the service's code would
    zombie             it reads in a group of its own, so it believes it owns every shard beside the real owner

The service's own code is not changed and knows nothing of this: a step is wrapped here, in the process, before `main()`
is called. `nth` counts the calls of the step.
"""

import importlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from aiokafka import AIOKafkaConsumer

from services.runtime import codec, handling, subscription
from services.runtime.dead_letters import DeadLetters
from services.runtime.kafka import Publisher
from services.runtime.store import Store

Step = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Point:
    """A place between two steps: before or after `owner.step`."""

    owner: type
    step: str
    after: bool


POINTS: Final = {
    "before_commit": Point(Store, "commit", after=False),
    "after_commit": Point(Store, "commit", after=True),
    "before_offset": Point(AIOKafkaConsumer, "commit", after=False),
    "after_offset": Point(AIOKafkaConsumer, "commit", after=True),
    "before_publish": Point(Publisher, "publish", after=False),
    "after_publish": Point(Publisher, "publish", after=True),
    "before_cursor": Point(Store, "advance_relay", after=False),
    "after_cursor": Point(Store, "advance_relay", after=True),
    "after_dead_letter": Point(DeadLetters, "put", after=True),
}


def arm(point: Point, nth: int) -> None:
    """Wrap the step so that its nth call is the process's last."""
    original: Step = getattr(point.owner, point.step)
    calls = count(1)

    async def step(*arguments: Any, **named: Any) -> Any:
        last = next(calls) == nth
        if last and not point.after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = await original(*arguments, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(point.owner, point.step, step)


def break_reading(nth: int) -> None:
    """Let reading the nth record meet a mistake in the service's code."""
    original = codec.decode
    calls = count(1)

    def decode(*arguments: Any) -> Any:
        if next(calls) == nth:
            raise LookupError("a mistake in the service's code")
        return original(*arguments)

    setattr(handling, "decode", decode)  # noqa: B010 - put in its place from outside


def leave_the_group() -> None:
    """Read in another group than the service's."""
    original = subscription.group_of
    subscription.group_of = lambda settings, service: original(settings, service) + ".zombie"


def words(service: str, fault: str, nth: int = 1) -> tuple[str, ...]:
    """Return what runs a service with a fault, as the `launcher` of its process."""
    return ("-m", "tests.chaos.launcher", service, fault, str(nth))


def main() -> int:
    """Arm the fault and run the service."""
    service, fault, nth = sys.argv[1:]
    if fault == "defect":
        break_reading(int(nth))
    elif fault == "zombie":
        leave_the_group()
    else:
        arm(POINTS[fault], int(nth))
    return int(importlib.import_module(f"services.{service}.app").main())


if __name__ == "__main__":
    sys.exit(main())
