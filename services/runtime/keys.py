"""Which shard an account belongs to, and what the shard's keys in Redis are called.

A shard is a partition: the number Kafka's default partitioner gives the account id, always computed from the account
id and never taken from a record. Every key of a shard carries the same hash tag, so in Redis Cluster a shard lives in
one slot and one function call can touch all of it.
"""

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=65_536)
def shard_of(account_id: str, partitions: int) -> int:
    """Return the partition of an account id among `partitions`, as Kafka's Java client computes it (murmur2)."""
    return int(murmur2(account_id.encode()) & 0x7FFFFFFF) % partitions


class ShardKeys:
    """The key names of one service's shard; `outbox` also is the key by which a function call finds its slot."""

    __slots__ = ("gaps", "outbox", "prefix", "relay", "timers")

    def __init__(self, namespace: str, service: str, shard: int) -> None:
        self.prefix = f"{{{namespace}{service}.{shard}}}:"
        self.outbox = f"{self.prefix}outbox"
        self.relay = f"{self.prefix}relay"
        self.timers = f"{self.prefix}timers"
        self.gaps = f"{self.prefix}gaps"

    def account(self, account_id: str) -> str:
        """Name the hash that holds an account."""
        return f"{self.prefix}account:{account_id}"

    def inbox(self, account_id: str, command_key: str) -> str:
        """Name the mark that a command of an account, by the key of its cause, was answered."""
        return f"{self.prefix}inbox:{account_id} {command_key}"


def deployment_key(namespace: str) -> str:
    """Name the hash that holds what is fixed for a deployment's life (the number of partitions)."""
    return f"{namespace}addonflow:deployment"


def clock_key(namespace: str) -> str:
    """Name the string that holds a deployment's virtual time, in milliseconds since the epoch."""
    return f"{namespace}addonflow:clock"
