"""Builds a service's process from its parts and runs it: one place where everything is made and wired.

Start: wait for Redis and Kafka (readiness says what is awaited), refuse what cannot be right, join the group, and hear
what is in the log. Doors open on the way (`opening.py`); ready is who has all of them open.
Stop: take no more records, end relays and timers, publish what is committed, close connections. A kill at any point
is as good: the next owner takes up what is durable.
"""

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from faststream.kafka import KafkaBroker

from contracts.topics import READERS, TOPICS
from services.runtime import functions, metrics
from services.runtime.allowance import Allowance
from services.runtime.authentication import Authentication
from services.runtime.backlog import Backlog
from services.runtime.clock import Clock, SystemClock
from services.runtime.committing import Committing
from services.runtime.dead_letters import DeadLetters
from services.runtime.decision import Answer, Decider
from services.runtime.door import Door
from services.runtime.errors import TROUBLE, ConfigurationError, Stopping
from services.runtime.handling import Handling
from services.runtime.health import Health
from services.runtime.hearing import Hearing, Newest
from services.runtime.http import Doors, make_application
from services.runtime.kafka import LogEnds, Publisher, check_topics
from services.runtime.logs import configure, refuse
from services.runtime.lost_offsets import check_offsets
from services.runtime.opening import Opening
from services.runtime.outcomes import Heard, Outcomes
from services.runtime.patience import Patience
from services.runtime.production import load_settings
from services.runtime.progress import Progress
from services.runtime.redis_check import check_redis, count_rebuilds
from services.runtime.relay import Relay
from services.runtime.server import Server, config_of
from services.runtime.settings import Settings
from services.runtime.shards import Shards
from services.runtime.skew import Skew
from services.runtime.store import Store, connect_redis
from services.runtime.subscription import Subscribe, Subscription, group_of, make_broker
from services.runtime.timers import Timers
from services.runtime.tracing import traces_of
from services.runtime.virtual_clock import VirtualClock, check_clock

log = logging.getLogger("addonflow")
EXIT_CONFIGURATION = 78  # EX_CONFIG of sysexits.h
EXIT_DEFECT = 70  # EX_SOFTWARE
_STOP_SECONDS_MAX = 10
_GC_ALLOCATIONS = 100_000  # a batch makes tens of thousands of objects that reference counting frees
_CLOCK_POLL_SECONDS = 0.02


class Process:
    """A running service: its connections, loops and health."""

    def __init__(
        self,
        service: str,
        decider: Decider[Any],
        subscribe: Subscribe,
        settings: Settings,
        *,
        answer: Answer | None = None,
        doors: Doors | None = None,
        clock: Clock | None = None,
        heard: Heard | None = None,
    ) -> None:
        self.service = service
        self.settings = settings
        self.decider = decider
        self.answer = answer
        self.exit_code = 0
        self.health = Health(settings.stall_seconds)
        self._on_exit: Callable[[], None] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        self.opening = Opening()
        self._patience = Patience(self.health, settings.backoff_ms_max)
        self._redis = connect_redis(settings)
        self._clock = clock or (
            VirtualClock(self._redis, settings.namespace) if settings.virtual_clock else SystemClock()
        )
        self._publisher = Publisher(settings)
        self._log_ends = LogEnds(settings)
        store = self._store = Store(
            self._redis, settings.namespace, service, settings.partitions, settings.inbox_retention_ms
        )
        traces = self._traces = traces_of(service, group_of(settings, service), settings)
        self._relay = Relay(store, self._publisher, self._log_ends, self._patience, SystemClock(), settings, traces)
        outcomes = Outcomes(traces, heard)
        self.handling = Handling(
            committing=Committing(decider, answer, store, self._clock, settings.conflicts_max, outcomes),
            topics=READERS[service],
            dead_letters=DeadLetters(self._publisher, self._clock, settings.namespace, service),
            patience=self._patience,
            clock=self._clock,
            settings=settings,
            wake=self._wake if settings.virtual_clock else self._relay.wake,
        )
        self.authentication = Authentication(settings)
        self._doors = doors(self._door()) if doors is not None else None
        hearing = self._hearing()
        self._timers = Timers(store, self.handling, hearing, self._patience, self._clock, settings)
        self.shards = Shards([self._relay.run, self._timers.run], self.defect)
        self.broker: KafkaBroker = make_broker(settings, hearing.turn)
        self.subscription: Subscription = subscribe(self)
        self._progress = Progress(
            self, store, self._relay, self._log_ends, self._clock, self.health, self._patience, settings
        )

    def _door(self) -> Door[Any]:
        return Door(
            self.decider,
            self._store,
            self.handling,
            self._clock,
            self.settings,
            self.authentication,
            Allowance(self.settings.requests_per_minute),
            self.opening,
            ending=self._ending,
        )

    def _hearing(self) -> Hearing:
        read = [self.settings.namespace + topic.name for topic in READERS[self.service]]
        return Hearing(self._log_ends, read, self._patience, self._clock, self._newest_batch)

    async def start(self) -> None:
        """Wait for what it depends on, check it, and join the group; a misconfiguration ends the process."""
        try:
            self.authentication.check()
            await self._patience.until_done(
                "reach Redis", lambda: check_redis(self._redis, self.settings, self.service)
            )
            await self._patience.until_done(
                "reach Redis", lambda: check_clock(self._redis, self.settings.namespace, self._clock)
            )
            skew = Skew(self._redis, self.settings, self._patience)
            await self._patience.until_done("reach Redis", skew.check)
            await self._patience.until_done("reach Redis", lambda: functions.ensure_loaded(self._redis))
            rebuilds = await self._patience.until_done("reach Redis", self._rebuilds)
            metrics.REBUILDS.set(rebuilds)
            self.opening.to_reads()
            await self._patience.until_done("reach Kafka", lambda: check_topics(self.settings, self._topics()))
            await self._patience.until_done("see where its group has read to", self._check_offsets)
            await self._patience.until_done("join the group", self.broker.start)
            await asyncio.gather(self._hear(), self._progress.watch(), skew.watch(), self._follow_clock())
        except Stopping:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, the process must not go on half started
            self.defect(error)

    async def _rebuilds(self) -> int:
        return await count_rebuilds(self._redis, self.settings.namespace, self.service)

    async def _check_offsets(self) -> None:
        await check_offsets(self.settings, self.service, READERS[self.service], self._store, SystemClock().now())

    async def _hear(self) -> None:
        await Backlog(self.settings, self.service, READERS[self.service], self._log_ends).heard(self._patience)
        self.opening.to_commands()
        self.health.started()

    def _topics(self) -> Sequence[str]:
        read = [topic.name for topic in READERS[self.service]]
        written = [topic.name for topic in TOPICS if topic.writer == self.service]
        return read + written + [topic.dead_letters_of(self.service) for topic in READERS[self.service]]

    def _newest_batch(self) -> Newest:
        return self.subscription.pipeline.newest()

    def _wake(self, shard: int) -> None:
        """Publish what was committed; where time stands still, fire at once what it made due."""
        self._relay.wake(shard)
        self._timers.wake(shard)

    async def _follow_clock(self) -> None:
        """Have timers looked for as soon as a virtual clock was moved, so that a year takes seconds."""
        while self.settings.virtual_clock:
            seen = self._clock.now()
            await self._patience.pause(_CLOCK_POLL_SECONDS)
            await self._patience.until_done("reach Redis", self._clock.refresh)
            if self._clock.now() > seen:
                self._timers.wake_all()

    async def stop(self) -> None:
        """Stop gracefully, within `_STOP_SECONDS_MAX`."""
        self._patience.stop()
        with suppress(TimeoutError, *TROUBLE):
            async with asyncio.timeout(_STOP_SECONDS_MAX):
                await self.subscription.pipeline.close()
                await self.broker.stop()
                owned = self.shards.owned
                await self.shards.let_go(owned)
                await asyncio.gather(*(self._relay.drain(shard) for shard in owned), return_exceptions=True)
        if self._starting is not None:
            self._starting.cancel()
        with suppress(TimeoutError, *TROUBLE):
            async with asyncio.timeout(_STOP_SECONDS_MAX):
                await self._publisher.stop()
                await self._log_ends.stop()
                await self._redis.aclose()
                if self._traces is not None:
                    await asyncio.to_thread(self._traces.close)
        if not self.exit_code:  # else it has said already why it ends
            log.info("%s stopped", self.service)

    def defect(self, error: BaseException) -> None:
        """End the process after an error that no rule covers; nothing of the batch is acknowledged.

        A misconfiguration, or state of a newer release, ends it with one line that says what to do.
        """
        if isinstance(error, ConfigurationError):
            refuse(self.service, error)
            return self._exit(EXIT_CONFIGURATION)
        log.critical(
            "%s: a defect: %r; nothing was acknowledged, the process ends", self.service, error, exc_info=error
        )
        return self._exit(EXIT_DEFECT)

    def _exit(self, code: int) -> None:
        self.exit_code = code
        if self._on_exit is not None:
            self._on_exit()

    def _end_streams(self) -> None:
        """Have open streams end: uvicorn waits for them before it ends the lifespan. May be called by a signal."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._ending.set)

    def application(self) -> FastAPI:
        """Return the HTTP application, with the process in its lifespan."""

        @asynccontextmanager
        async def lifespan(_: FastAPI) -> AsyncIterator[None]:
            self._loop = asyncio.get_running_loop()
            self._starting = asyncio.create_task(self.start())
            yield
            await self.stop()

        return make_application(self.service, self._doors, self.health, self.settings, lifespan)

    def run(self) -> int:
        """Serve until told to stop; return the exit code."""
        server = Server(config_of(self.application(), self.settings), self._end_streams)

        def end() -> None:
            server.should_exit = True
            self._end_streams()

        self._on_exit = end
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn raises the signal again after a graceful stop: that would look like a kill
            signal.signal(number, lambda *_: end())
        gc.freeze()
        gc.set_threshold(_GC_ALLOCATIONS)
        server.run()
        return self.exit_code


def main(build: Callable[[Settings], Process]) -> int:
    """Run a service from the environment; return the exit code (78 and one line for a misconfiguration)."""
    try:
        settings = load_settings()
        service = build.__module__.split(".")[1]
        configure(settings.log_level, settings.log_format, service, outcomes=settings.log_outcomes)
        process = build(settings)
    except (ConfigurationError, ValueError) as error:
        refuse("", error)
        return EXIT_CONFIGURATION
    return process.run()
