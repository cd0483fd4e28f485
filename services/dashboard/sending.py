"""How a command reaches Kafka: as any dashboard sends it, CloudEvents in binary mode, key = account id.

The partition is that of Kafka's own partitioner (murmur2), computed here. A command is sent when the broker has it on
every replica; until then nothing is said to be done, and the same command may be sent again.
"""

import asyncio
import logging

from contracts.envelope import DATA_CONTENT_TYPE, SPEC_VERSION
from contracts.payload import Payload
from contracts.topics import BACKOFFICE, topic_of
from services.dashboard.figures import COMMANDS
from services.runtime.clock import SystemClock, to_rfc3339
from services.runtime.codec import Header, to_json
from services.runtime.errors import TROUBLE
from services.runtime.kafka import Publisher
from services.runtime.keys import shard_of
from services.runtime.settings import Settings

log = logging.getLogger("addonflow.dashboard.sending")


class NotSent(Exception):  # noqa: N818 - named for what happened
    """The broker did not say that it has the command, which it may have: it may be sent again, under its id."""


class Sender:
    """Publishes commands of members, and by `of_staff` those of staff."""

    def __init__(self, settings: Settings, of_staff: Settings, seconds: int) -> None:
        within = {"kafka_request_timeout_ms": seconds * 1_000}
        self._settings = settings
        self._seconds = seconds
        self._members = Publisher(settings.model_copy(update=within))
        self._staff = Publisher(of_staff.model_copy(update=within))
        self._clock = SystemClock()

    async def send(self, command: Payload, command_id: str) -> None:
        """Publish a command; NotSent when it is not known to be written within the time allowed."""
        topic = topic_of(type(command))
        try:
            async with asyncio.timeout(self._seconds):
                await (self._staff if topic is BACKOFFICE else self._members).send(
                    self._settings.namespace + topic.name,
                    shard_of(command.account_id, self._settings.partitions),
                    command.account_id.encode(),
                    to_json(command),
                    self._headers(command, command_id, topic.source),
                )
        except TROUBLE as error:
            COMMANDS.labels(command.ce_type, "not_sent").inc()
            log.warning("command %s is not known to be sent: %s: %s", command_id, type(error).__name__, error)
            raise NotSent from error
        COMMANDS.labels(command.ce_type, "sent").inc()

    def _headers(self, command: Payload, command_id: str, source: str) -> list[Header]:
        attributes = {
            "content-type": DATA_CONTENT_TYPE,
            "ce_specversion": SPEC_VERSION,
            "ce_id": command_id,
            "ce_source": source,
            "ce_type": command.ce_type,
            "ce_time": to_rfc3339(self._clock.now()),
            "ce_subject": command.account_id,
        }
        return [(name, text.encode()) for name, text in attributes.items()]

    async def stop(self) -> None:
        """Close the connections."""
        await self._members.stop()
        await self._staff.stop()
