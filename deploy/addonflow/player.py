"""Plays a story against a running deployment over Kafka, and compares what comes with what must come.

Every expectation is awaited, not slept for. At the end the whole story is judged once more: each record expected came
exactly once, and nothing else came of its accounts. However the services were started does not matter here.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts.topics import READERS, TOPICS, Kind, dead_letter_topics
from deploy.addonflow import connections
from deploy.addonflow.messages import Outbound
from deploy.addonflow.records import Seen, see
from deploy.addonflow.script import Expected, Step, Story
from deploy.addonflow.send import publish
from services.runtime.settings import Settings
from services.runtime.subscription import group_of

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Failure:
    """What was expected, what came instead, and in which step."""

    step: str
    expected: str
    came: str


class Audience(Protocol):
    """Whoever is shown the story as it is played."""

    def step(self, number: int, step: Step) -> None:
        """Hear that a step begins."""

    def settled(self, facts: int) -> None:
        """Hear that so many facts have taken effect."""

    def outcome(self, expected: Expected, seen: Seen) -> None:
        """Hear that a record came as expected."""


def difference(expected: Any, came: Any, where: str = "") -> str | None:
    """Say in which part `came` is not as `expected`; None when all of `expected` is in it.

    Of a mapping only the expected keys count. A list must have the same length, each expected item being in another
    item, in any order. Numbers and text must be equal.
    """
    if isinstance(expected, Mapping):
        if not isinstance(came, Mapping):
            return f"{where}: expected {dict(expected)}, came {came!r}"
        parts = (difference(value, came.get(key), f"{where}.{key}".lstrip(".")) for key, value in expected.items())
        return next((part for part in parts if part is not None), None)
    if isinstance(expected, list) and isinstance(came, list):
        return _difference_of_lists(expected, came, where)
    return None if expected == came else f"{where}: expected {expected!r}, came {came!r}"


def _difference_of_lists(expected: list[Any], came: list[Any], where: str) -> str | None:
    if len(expected) != len(came):
        return f"{where}: expected {len(expected)} items, came {came!r}"
    if len(expected) == 1:
        return difference(expected[0], came[0], f"{where}[0]")
    rest = list(came)
    for item in expected:
        found = next((each for each in rest if difference(item, each) is None), None)
        if found is None:
            return f"{where}: expected an item {item!r}, came {came!r}"
        rest.remove(found)
    return None


def _view(seen: Seen) -> dict[str, Any]:
    return {"type": seen.type, "attributes": seen.attributes, "data": seen.data, "value": seen.value}


def about(expected: Expected, seen: Sequence[Seen]) -> list[Seen]:
    """Return the records that an expectation is about."""
    return [each for each in seen if each.topic == expected.topic and difference(expected.where, _view(each)) is None]


def fault(expected: Expected, seen: Sequence[Seen]) -> str | None:
    """Say what is wrong with what came, None when it is as expected: exactly one record, as it must be."""
    found = about(expected, seen)
    if not found:
        return "nothing came"
    if len(found) > 1:
        return f"it came {len(found)} times"
    text = (found[0].value or b"").decode("utf-8", "replace").lower()
    told = [word for word in expected.silent_about if word in text]
    return f"it tells {told[0]!r}: {text}" if told else difference(expected.must, _view(found[0]))


class Stage:
    """The Kafka side of a story: publishes its messages and collects what comes of its accounts."""

    def __init__(
        self,
        settings: Settings,
        admin: AIOKafkaAdminClient,
        producer: AIOKafkaProducer,
        consumer: AIOKafkaConsumer,
        accounts: frozenset[str],
    ) -> None:
        self.seen: list[Seen] = []
        self._settings = settings
        self._admin = admin
        self._producer = producer
        self._consumer = consumer
        self._accounts = accounts

    async def send(self, messages: Sequence[Outbound]) -> int:
        """Publish messages in order; then wait until every service that reads facts has taken those among them.

        Topics have no order among each other, so a command must not overtake the facts it depends on. Returns how many
        facts there were.
        """
        facts: dict[TopicPartition, int] = {}
        count = 0
        for message in messages:
            topic, partition, offset = await publish(self._producer, self._settings, message)
            if message.topic.kind is Kind.FACTS:
                facts[TopicPartition(topic, partition)] = offset
                count += 1
        for service, topics in READERS.items():
            read = {self._settings.namespace + topic.name for topic in topics}
            waited = {partition: offset for partition, offset in facts.items() if partition.topic in read}
            while waited and not await self._has_read(service, waited):
                await self.collect()
        return count

    async def _has_read(self, service: str, offsets: Mapping[TopicPartition, int]) -> bool:
        marks = await connections.committed(self._admin, group_of(self._settings, service), offsets)
        return all(marks.get(partition, 0) > offset for partition, offset in offsets.items())

    async def collect(self) -> None:
        """Take in what came since, waiting a moment when there is nothing."""
        batches = await self._consumer.getmany(timeout_ms=int(_POLL_SECONDS * 1_000))
        seen = (see(record, self._settings.namespace) for batch in batches.values() for record in batch)
        self.seen.extend(each for each in seen if each.account_id in self._accounts)


@asynccontextmanager
async def stage(settings: Settings, accounts: frozenset[str], connect_seconds: float = 5) -> AsyncIterator[Stage]:
    """Connect to a deployment; what was in its topics before is not looked at."""
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(connections.admin(settings, connect_seconds))
        written = [topic.name for topic in TOPICS if topic.writer in READERS]
        inputs = [settings.namespace + topic.name for topic in TOPICS if topic.writer not in READERS]
        outputs = [settings.namespace + name for name in (*written, *dead_letter_topics())]
        partitions = await connections.partitions_of(admin, [*inputs, *outputs])
        consumer = await stack.enter_async_context(connections.consumer(settings, connect_seconds))
        consumer.assign([partition for partition in partitions if partition.topic in outputs])
        for partition, end in (await consumer.end_offsets(consumer.assignment())).items():
            consumer.seek(partition, end)
        producer = await stack.enter_async_context(connections.producer(settings, connect_seconds))
        yield Stage(settings, admin, producer, consumer, accounts)


async def play(
    story: Story, on: Stage, audience: Audience, step_seconds: float, digest_seconds: float
) -> Failure | None:
    """Play every step, each within its time; return the first thing that is not as stated, None when all is."""
    for number, step in enumerate(story.steps, start=1):
        audience.step(number, step)
        failure = await _play_step(step, on, audience, digest_seconds if step.awaits_digest else step_seconds)
        if failure is not None:
            return failure
    return _judge_whole(story, on.seen)


async def _play_step(step: Step, on: Stage, audience: Audience, seconds: float) -> Failure | None:
    waiting = list(step.expects)
    try:
        async with asyncio.timeout(seconds):
            facts = await on.send(step.sends)
            if facts:
                audience.settled(facts)
            while waiting:
                for expected in [each for each in waiting if about(each, on.seen)]:
                    wrong = fault(expected, on.seen)
                    if wrong is not None:
                        return Failure(step.title, expected.says, wrong)
                    audience.outcome(expected, about(expected, on.seen)[0])
                    waiting.remove(expected)
                if waiting:
                    await on.collect()
    except TimeoutError:
        if not waiting:
            return Failure(step.title, "the services take the facts", f"not all did within {seconds:g} s")
        return Failure(step.title, waiting[0].says, f"nothing came within {seconds:g} s")
    return None


def _judge_whole(story: Story, seen: Sequence[Seen]) -> Failure | None:
    claimed: set[int] = set()
    for step in story.steps:
        for expected in step.expects:
            wrong = fault(expected, seen)
            if wrong is not None:
                return Failure(step.title, f"{expected.says} (at the end of the story)", wrong)
            claimed.add(id(about(expected, seen)[0]))
    extra = [each for each in seen if id(each) not in claimed]
    if extra:
        came = f"{len(extra)} more, first {extra[0].type} on {extra[0].topic}: {extra[0].value!r}"
        return Failure("the whole story", "nothing else comes of its accounts", came)
    return None
