"""Examines a deployment from outside: Kafka, Redis, and what the services left in both. Changes nothing."""

import asyncio

from deploy.addonflow.findings import Finding
from deploy.addonflow.kafka_checks import check_kafka
from deploy.addonflow.redis_checks import check_redis_and_state
from services.runtime.settings import Settings


async def examine(settings: Settings) -> list[Finding]:
    """Return every finding, Kafka's first; a server that is away is a finding too."""
    kafka, redis = await asyncio.gather(check_kafka(settings), check_redis_and_state(settings))
    return [*kafka, *redis]
