"""What this process hears of Kafka: answers to commands, facts and events, from now on and without a group.

Every dashboard process hears everything; nothing is committed and nothing is owned. After trouble it goes on where it
was, so an answer that came meanwhile is heard late and not lost.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts.envelope import Envelope
from contracts.topics import ACCOUNTS, BILLING, BILLING_RESULTS, EVENTS, NOTIFICATIONS, RESULTS, Topic
from services.runtime.codec import Unreadable, decode
from services.runtime.connecting import kafka_client
from services.runtime.errors import TROUBLE
from services.runtime.settings import Settings

log = logging.getLogger("addonflow.dashboard.reading")
HEARD = (RESULTS, BILLING_RESULTS, EVENTS, BILLING, NOTIFICATIONS, ACCOUNTS)
_POLL_MS = 1_000
_RECORDS_MAX = 2_000
_BACKOFF_SECONDS_MAX = 5.0
Take = Callable[[Topic, Envelope], None]


def partitions_of(settings: Settings, topics: Iterable[Topic], *numbers: int) -> dict[TopicPartition, Topic]:
    """Return partitions of topics by their full names; all of them when no number is given."""
    wanted = numbers or range(settings.partitions)
    return {TopicPartition(settings.namespace + topic.name, number): topic for topic in topics for number in wanted}


def make_consumer(settings: Settings) -> AIOKafkaConsumer:
    """Make a consumer that belongs to no group and commits nothing."""
    return AIOKafkaConsumer(**kafka_client(settings), enable_auto_commit=False, auto_offset_reset="earliest")


class Reading:
    """Hears the topics from now on; facts from their beginning, where the demo's directory wants them."""

    def __init__(self, settings: Settings, take: Take, *, all_facts: bool) -> None:
        self._settings = settings
        self._take = take
        self._all_facts = all_facts
        self._topics = partitions_of(settings, HEARD)
        self._positions: dict[TopicPartition, int] = {}
        self.begun = asyncio.Event()

    async def run(self) -> None:
        """Hear until cancelled, through whatever trouble."""
        wait = 0.1
        while True:
            consumer = make_consumer(self._settings)
            try:
                await consumer.start()
                await self._begin(consumer)
                self.begun.set()
                wait = 0.1
                while True:
                    await self._hear(consumer)
            except TROUBLE as error:
                log.warning("answers cannot be heard, trying again: %s: %s", type(error).__name__, error)
            finally:
                await consumer.stop()
            await asyncio.sleep(wait)
            wait = min(wait * 2, _BACKOFF_SECONDS_MAX)

    async def _begin(self, consumer: AIOKafkaConsumer) -> None:
        consumer.assign(list(self._topics))
        ends = await consumer.end_offsets(list(self._topics))
        for partition, topic in self._topics.items():
            first = 0 if topic is ACCOUNTS and self._all_facts else ends[partition]
            known = self._positions.get(partition, first)
            self._positions[partition] = known if known <= ends[partition] else 0  # a log that was lost begins again
            consumer.seek(partition, self._positions[partition])

    async def _hear(self, consumer: AIOKafkaConsumer) -> None:
        batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS_MAX)
        for partition, records in batches.items():
            topic = self._topics[partition]
            for record in records:
                envelope = decode(record, topic, self._settings.value_bytes_max)
                if not isinstance(envelope, Unreadable):
                    self._take(topic, envelope)
                self._positions[partition] = record.offset + 1
