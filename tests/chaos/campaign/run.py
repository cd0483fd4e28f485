"""A campaign from its beginning to its verdict: break, heal, and again; then drain, stop and check."""

import asyncio
import contextlib
import pickle
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from services.runtime.keys import ShardKeys
from services.runtime.virtual_clock import move_clock, time_of
from tests.chaos.campaign.collect import access_now, collect, summary
from tests.chaos.campaign.fleet import Fleet
from tests.chaos.campaign.history import History
from tests.chaos.campaign.load import Clients, Load
from tests.chaos.campaign.observer import Observer
from tests.chaos.campaign.plan import Family, Round, Strike, rounds
from tests.chaos.campaign.servers import Servers, servers
from tests.chaos.campaign.waiting import within
from tests.chaos.campaign.world import World
from tests.chaos.checker.evidence import Evidence
from tests.chaos.checker.invariants import Violation, violations
from tests.chaos.faults import FAULTS, decks
from tests.e2e.observe import Deployment
from tests.e2e.services import SERVICES
from tests.tokens import Issuer

PARTITIONS: Final = 4
NAMESPACE: Final = "chaos."
BEGINS: Final = datetime(2027, 1, 19, 9, tzinfo=UTC)
REST_SECONDS_MAX: Final = 120
READY_SECONDS_MAX: Final = 90
PROGRESS_SECONDS_MAX: Final = 20
_CUSTOMERS_A_MINUTE: Final = 140


@dataclass(slots=True)
class Report:
    """What came of a campaign."""

    seed: int
    minutes: float
    rounds: int = 0
    struck: list[str] = field(default_factory=list)
    hits: dict[str, int] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    points: list[str] = field(default_factory=list)
    single_faults: int = 0
    rest_seconds: float = 0
    counted: dict[str, int] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)

    @property
    def struck_nothing(self) -> list[str]:
        """The faults that struck, and never work in flight: the campaign proves nothing about them."""
        return sorted(set(self.struck) - {name for name, number in self.hits.items() if number})

    @property
    def passed(self) -> bool:
        """Whether nothing was violated and every fault hit something."""
        return not self.violations and not self.struck_nothing


class Campaign:
    """One run. `rate`: commands a second."""

    def __init__(self, seed: int, minutes: float, names: Iterable[str], rate: float, folder: Path) -> None:
        self._names = tuple(names)
        self._rate = rate
        self._folder = folder
        self._standstills: list[str] = []
        self._unrest = ""
        self.report = Report(seed, minutes)

    async def run(self) -> Report:
        """Run it; the history is in the folder afterwards."""
        async with servers() as running, contextlib.AsyncExitStack() as stack:
            deployment = Deployment(running.kafka.bootstrap, running.valkey.url, NAMESPACE, PARTITIONS)
            await asyncio.to_thread(deployment.create_topics)
            async with running.redis() as redis:
                await move_clock(redis, NAMESPACE, BEGINS)
            history = History(self._folder / f"history-{self.report.seed}.jsonl")
            stack.callback(history.close)
            issuer = Issuer()
            world = self._world(running, deployment, history, issuer)
            stack.push_async_callback(world.observer.stop)
            stack.push_async_callback(world.clients.close)
            try:
                world.fleet.start()
                await self._break(world)
                access = await access_now(world, deployment, issuer)
            finally:
                await world.fleet.end()
            evidence = await self._evidence(world, deployment)
            evidence.access = access
            self._keep(evidence)
            self._judge(world, evidence)
        return self.report

    def _world(self, running: Servers, deployment: Deployment, history: History, issuer: Issuer) -> World:
        keys = issuer.write(self._folder / "jwks.json")
        settings = deployment.settings(
            kafka_bootstrap=running.bootstrap,
            redis_url=running.redis_url,
            virtual_clock=True,
            token_jwks=keys,
            commands_per_minute=1_000_000,
            requests_per_minute=1_000_000,
            log_level="warning",
            kafka_session_timeout_ms=10_000,
            redis_timeout_seconds=1,
            kafka_request_timeout_ms=5_000,
            log_check_ms=2_000,
            batch_records_max=200,
            relay_records_max=100,
            fetch_wait_ms=100,
            relay_poll_ms=200,
            timer_poll_ms=500,
        )
        fleet = Fleet(settings, history)
        clients = Clients(deployment.bootstrap, NAMESPACE, history, fleet.doors, issuer)
        load = Load(clients, self.report.seed, self._rate)
        observer = Observer(deployment.bootstrap, NAMESPACE, PARTITIONS, clients.waiting)
        world = World(running, fleet, clients, load, observer, history, NAMESPACE, PARTITIONS)
        fleet.when_at_a_point(world.at_a_point)
        return world

    async def _break(self, world: World) -> None:
        """State the customers, let them begin, strike for the time that is given, and wait for rest."""
        world.observer.start()
        await world.fleet.until_ready(READY_SECONDS_MAX)
        await world.load.know(max(40, int(_CUSTOMERS_A_MINUTE * self.report.minutes)))
        await self._until_rest(world)
        sending = asyncio.create_task(world.load.run())
        loop = asyncio.get_running_loop()
        ends = loop.time() + 60 * self.report.minutes
        for each in rounds(self.report.seed, decks(self._names)):
            if loop.time() >= ends or world.load.ended.is_set():
                break
            await self._round(world, each)
        await world.load.end()
        await sending
        world.fleet.disarm()
        world.servers.kafka_link.mend()
        world.servers.valkey_link.mend()
        begun = loop.time()
        self._unrest = await self._until_rest(world)
        self.report.rest_seconds = round(loop.time() - begun, 1)
        await world.fleet.until_ready(READY_SECONDS_MAX)

    async def _round(self, world: World, this: Round) -> None:
        world.history.note("round", number=this.number, strikes=[each.fault for each in this.strikes])
        self.report.rounds = this.number
        self.report.struck += [each.fault for each in this.strikes]
        answered, loop = world.clients.waiting.answered, asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.gather(*(self._strike(world, each) for each in this.strikes))
        await asyncio.sleep(max(0.0, begun + this.seconds - loop.time()))
        families = [FAULTS[each.fault].family for each in this.strikes]
        if families.count(Family.PROCESS) == 1 and set(families) <= {Family.PROCESS, Family.INPUT}:
            self.report.single_faults += 1
            await self._progress(world, this, answered)

    async def _strike(self, world: World, strike: Strike) -> None:
        """Let a fault strike; where another keeps the harness from it, that is a miss."""
        await asyncio.sleep(strike.after)
        try:
            await FAULTS[strike.fault].strike(world, strike)
        except (KafkaError, RedisError, OSError, TimeoutError) as error:
            world.hit(strike.fault, 0, why=repr(error))

    async def _progress(self, world: World, this: Round, before: int) -> None:
        if not await within(PROGRESS_SECONDS_MAX, lambda: world.clients.waiting.answered > before):
            struck = [each.fault for each in this.strikes]
            self._standstills.append(f"round {this.number} {struck}: nothing was answered for {PROGRESS_SECONDS_MAX} s")

    async def _until_rest(self, world: World) -> str:
        """Wait until nothing is left to do; return what still is when it takes too long."""
        async with world.servers.redis() as redis:

            async def resting() -> bool:
                return not await self._busy(world, redis)

            if await within(REST_SECONDS_MAX, resting):
                return ""
            return f"after {REST_SECONDS_MAX} s: {await self._busy(world, redis)}"

    async def _busy(self, world: World, redis: Redis) -> str:
        for service in SERVICES:
            lag = await world.observer.lag(service)
            if lag is None or lag:
                return f"{service} is behind by {lag}; {await world.fleet.unready()}"
            if unpublished := await world.observer.unpublished(redis, service):
                return f"{service} has unpublished records in {unpublished} shards; {await world.fleet.unready()}"
            if overdue := await _overdue(redis, service):
                return f"{service} has {overdue} timers overdue; {await world.fleet.unready()}"
        return ""

    async def _evidence(self, world: World, deployment: Deployment) -> Evidence:
        lines = world.history.path.read_text("utf-8").splitlines()
        async with world.servers.redis() as redis:
            now = await time_of(redis, NAMESPACE)
        evidence = await asyncio.to_thread(collect, deployment, lines)
        evidence.now, evidence.unrest = now, self._unrest
        evidence.standstills, evidence.ends_unasked = self._standstills, world.fleet.ends_unasked
        return evidence

    def _keep(self, evidence: Evidence) -> None:
        """Keep what was found, to be looked at again: `pickle.load` gives it to `violations`."""
        (self._folder / f"evidence-{self.report.seed}.pickle").write_bytes(pickle.dumps(evidence))

    def _judge(self, world: World, evidence: Evidence) -> None:
        report = self.report
        report.hits, report.misses = dict(world.hits), dict(world.misses)
        report.kills, report.points = world.kills, [point for _, point in world.fleet.points_reached]
        report.violations = violations(evidence)
        report.counted = summary(evidence)


async def _overdue(redis: Redis, service: str) -> int:
    now = await time_of(redis, NAMESPACE)
    counts = [
        await redis.zcount(ShardKeys(NAMESPACE, service, shard).timers, "-inf", int(now.timestamp() * 1_000))
        for shard in range(PARTITIONS)
    ]
    return sum(counts)


def campaign(seed: int, minutes: float, names: Iterable[str], rate: float, folder: Path | None = None) -> Report:
    """Run a campaign; its history is in `folder`, by default a new one."""
    where = folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    where.mkdir(parents=True, exist_ok=True)
    return asyncio.run(Campaign(seed, minutes, names, rate, where).run())
