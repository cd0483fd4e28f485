"""The consumer group of a service, seen and set from outside: whether it has members, and up to where it has read."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from deploy.addonflow import connections
from services.runtime.connecting import kafka_client
from services.runtime.errors import AddonflowError
from services.runtime.settings import Settings
from services.runtime.subscription import group_of

_COORDINATOR_SECONDS: Final = 20


class StillRunning(AddonflowError):  # noqa: N818 - named for what the service is
    """A service reads and writes what is to be replaced; the message says to stop it."""


async def refuse_members(admin: AIOKafkaAdminClient, settings: Settings, service: str) -> None:
    """Raise StillRunning while any process of the service is in its group (one that was killed, until it times out)."""
    group = group_of(settings, service)
    for response in await _described(admin, group):
        for described in response.to_object()["groups"]:
            members = described["members"]
            if members:
                seconds = settings.kafka_session_timeout_ms // 1_000
                raise StillRunning(
                    f"{len(members)} process(es) of {service} are running: stop them first "
                    f"(one that was killed is forgotten after {seconds} s)"
                )


async def _described(admin: AIOKafkaAdminClient, group: str) -> list[Any]:
    """Ask for the group; a cluster that never had one makes its place for them first."""
    async with asyncio.timeout(_COORDINATOR_SECONDS):
        while True:
            try:
                return list(await admin.describe_consumer_groups([group]))
            except GroupCoordinatorNotAvailableError:
                await asyncio.sleep(connections.RETRY_SECONDS)


async def read_up_to(
    admin: AIOKafkaAdminClient, settings: Settings, service: str, partitions: list[TopicPartition]
) -> Mapping[TopicPartition, int]:
    """Return up to where the service has read each partition; those are left out of which nothing is kept."""
    found = await admin.list_consumer_group_offsets(group_of(settings, service), partitions=partitions)
    return {partition: mark.offset for partition, mark in found.items() if mark.offset >= 0}


async def read_from(settings: Settings, service: str, offsets: Mapping[TopicPartition, int]) -> None:
    """Have the service read each partition from an offset on when it starts again."""
    if not offsets:
        return
    consumer: Any = AIOKafkaConsumer(
        **kafka_client(settings), group_id=group_of(settings, service), enable_auto_commit=False
    )
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit(dict(offsets))
    finally:
        await consumer.stop()
