"""Publishes messages of outside writers, and on request waits for the answers to commands.

Records of an account keep the order they were given in. Answers are looked for from before the first record is sent,
so none is missed; a command that was answered long ago has its answer in the log already and none will come.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts.topics import BILLING_RESULTS, RESULTS
from deploy.addonflow import connections
from deploy.addonflow.messages import Outbound
from deploy.addonflow.records import REFUSALS, Seen, see
from services.runtime.clock import SystemClock
from services.runtime.settings import Settings

ACCEPTED, REJECTED, UNANSWERED = 0, 1, 2


async def publish(producer: AIOKafkaProducer, settings: Settings, message: Outbound) -> tuple[str, int, int]:
    """Publish one message; return full topic name, partition and offset once every replica has it."""
    written = await producer.send_and_wait(
        settings.namespace + message.topic.name,
        message.value,
        key=message.account_id.encode() or None,
        headers=message.headers(SystemClock().now()),
    )
    return written.topic, written.partition, written.offset


async def send(
    settings: Settings,
    messages: Sequence[Outbound],
    *,
    wait_seconds: float | None = None,
    connect_seconds: float = 5,
    on_sent: Callable[[Outbound, str, int, int], None],
    on_answer: Callable[[Seen], None],
) -> int:
    """Publish messages; with `wait_seconds` also wait that long for the answers to the commands among them.

    Returns ACCEPTED (also when not waiting), REJECTED when any was rejected, UNANSWERED when any answer is missing.
    """
    async with AsyncExitStack() as stack:
        admin = await stack.enter_async_context(connections.admin(settings, connect_seconds))
        answered_on = (RESULTS, BILLING_RESULTS) if wait_seconds is not None else ()
        results = [settings.namespace + topic.name for topic in answered_on]
        targets = sorted({settings.namespace + message.topic.name for message in messages})
        partitions = await connections.partitions_of(admin, [*targets, *results], settings)
        answers = None
        if wait_seconds is not None:
            answers = await stack.enter_async_context(connections.consumer(settings, connect_seconds))
            answers.assign([partition for partition in partitions if partition.topic in results])
            for partition, end in (await answers.end_offsets(answers.assignment())).items():
                answers.seek(partition, end)
        producer = await stack.enter_async_context(connections.producer(settings, connect_seconds))
        for message in messages:
            on_sent(message, *await publish(producer, settings, message))
        if answers is None or wait_seconds is None:
            return ACCEPTED
        waiting = {message.id for message in messages if message.answered}
        return await _await_answers(answers, waiting, wait_seconds, on_answer)


async def _await_answers(
    consumer: AIOKafkaConsumer, waiting: set[str], seconds: float, on_answer: Callable[[Seen], None]
) -> int:
    status = ACCEPTED
    try:
        async with asyncio.timeout(seconds):
            while waiting:
                async for seen in _next(consumer):
                    command_id = (seen.data or {}).get("command_id")
                    if command_id in waiting:
                        waiting.discard(command_id)
                        on_answer(seen)
                        status = max(status, REJECTED if seen.type in REFUSALS else ACCEPTED)
    except TimeoutError:
        return UNANSWERED
    return status


async def _next(consumer: AIOKafkaConsumer) -> AsyncIterator[Seen]:
    for records in (await consumer.getmany(timeout_ms=200)).values():
        for record in records:
            yield see(record)
