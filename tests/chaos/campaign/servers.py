"""Kafka and Valkey as the services of a campaign meet them: in containers, each behind a link that can be broken.

The harness itself speaks to the servers directly. Kafka tells clients where to find it, so it has a listener for each:
who comes over the link is told the link's address, and stays on it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from tests.chaos.campaign.link import Link, is_commit, is_produce
from tests.containers import Kafka, Valkey, free_port, until

_HOST = "127.0.0.1"
_PATIENCE_SECONDS = 20
_BEHIND_THE_LINK = 9095  # in the container


class LinkedKafka(Kafka):
    """A broker with a listener more, whose advertised address is the link's."""

    def __init__(self, link_port: int) -> None:
        super().__init__(
            KAFKA_HEAP_OPTS="-Xms256m -Xmx512m",
            KAFKA_JVM_PERFORMANCE_OPTS="-XX:+UseSerialGC -XX:TieredStopAtLevel=1",  # it starts in half the time
        )
        self.behind_link = free_port()
        self._advertised = f"LINK://{_HOST}:{link_port}"
        self.ports[str(_BEHIND_THE_LINK)] = (_HOST, self.behind_link)  # type: ignore[assignment]  # an address too
        self.listeners += f",LINK://0.0.0.0:{_BEHIND_THE_LINK}"
        self.security_protocol_map += ",LINK:PLAINTEXT"

    def tc_start(self) -> None:
        """Let the waiting container start its broker."""
        advertised = f"{self.listener_name}://{self.bootstrap},BROKER://localhost:9092,{self._advertised}"
        script = f"export KAFKA_ADVERTISED_LISTENERS={advertised}\nexec /etc/kafka/docker/run\n"
        self.create_file(script.encode(), self.TC_START_SCRIPT)


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers and the links to them."""

    kafka: LinkedKafka
    valkey: Valkey
    kafka_link: Link
    valkey_link: Link

    @property
    def bootstrap(self) -> str:
        """Where services find Kafka."""
        return f"{_HOST}:{self.kafka_link.port}"

    @property
    def redis_url(self) -> str:
        """Where services find Valkey."""
        return f"redis://{_HOST}:{self.valkey_link.port}/0"

    def redis(self) -> "Redis":
        """Return a client of Valkey that does not come over the link."""
        return Redis.from_url(
            self.valkey.url, socket_timeout=_PATIENCE_SECONDS, socket_connect_timeout=_PATIENCE_SECONDS
        )


@asynccontextmanager
async def servers() -> AsyncIterator[Servers]:
    """Run Kafka and Valkey and the links to them; everything is gone when the block ends."""
    async with AsyncExitStack() as stack:
        link_port = free_port()
        kafka, valkey = LinkedKafka(link_port), Valkey()
        kafka_link = Link(link_port, (_HOST, kafka.behind_link), is_produce)
        valkey_port = int(valkey.url.rpartition(":")[2].partition("/")[0])
        valkey_link = Link(free_port(), (_HOST, valkey_port), is_commit)
        await stack.enter_async_context(kafka_link)
        await stack.enter_async_context(valkey_link)
        for container in (kafka, valkey):
            stack.push_async_callback(asyncio.to_thread, container.stop)
            await asyncio.to_thread(container.start)
        yield Servers(kafka, valkey, kafka_link, valkey_link)


async def kill(server: Kafka | Valkey) -> None:
    """End a server at once; what it stored stays."""
    await asyncio.to_thread(server.get_wrapped_container().kill)


async def bring_back(server: Kafka | Valkey) -> None:
    """Start a server that was killed, and wait until it answers."""

    def start() -> None:
        server.get_wrapped_container().start()
        until(server.ready, server.image)

    await asyncio.to_thread(start)


async def pause(server: Kafka | Valkey) -> None:
    """Have a server stand still, its connections open."""
    await asyncio.to_thread(server.get_wrapped_container().pause)


async def go_on(server: Kafka | Valkey) -> None:
    """Let a server that stood still go on."""
    await asyncio.to_thread(server.get_wrapped_container().unpause)
