"""Shards and keys: Kafka's own partition for an account, and one cluster slot for a shard."""

import pytest
from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from services.runtime.keys import ShardKeys, deployment_key, shard_of

# Figures of Kafka's own tests of its Java client (UtilsTest.testMurmur2), as signed 32-bit integers.
JAVA = {
    "21": -973932308,
    "foobar": -790332482,
    "a-little-bit-long-string": -985981536,
    "a-little-bit-longer-string": -1486304829,
    "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    "abc": 479470107,
}


@pytest.mark.parametrize(("text", "expected"), JAVA.items())
def test_the_shard_is_the_partition_of_the_java_client(text: str, expected: int) -> None:
    """The hash is Java's murmur2, made positive as Java does (by its mask, not by its absolute value)."""
    assert (murmur2(text.encode()) ^ 0x80000000) - 0x80000000 == expected
    for partitions in (1, 7, 12, 4_096):
        assert shard_of(text, partitions) == (expected & 0x7FFFFFFF) % partitions


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128), st.integers(1, 4_096))
def test_every_account_has_one_shard(account_id: str, partitions: int) -> None:
    """Any account id falls into one of the partitions, always the same."""
    shard = shard_of(account_id, partitions)

    assert 0 <= shard < partitions
    assert shard_of(account_id, partitions) == shard


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128), st.integers(0, 4_095))
def test_all_keys_of_a_shard_are_in_one_cluster_slot(account_id: str, shard: int) -> None:
    """Whatever braces an account or command id has, every key of its shard hashes to the slot of the outbox."""
    keys = ShardKeys("prod.", "billing", shard)

    every = [keys.outbox, keys.relay, keys.timers, keys.gaps, keys.account(account_id), keys.inbox(account_id, "c")]
    assert len({key_slot(key.encode()) for key in every}) == 1


def test_shards_of_services_and_namespaces_are_apart() -> None:
    """Two services, two namespaces and two shards never share a key, and shards spread over a cluster's slots."""
    names = [("", "billing"), ("", "entitlements"), ("a.", "billing"), ("b.", "billing")]
    outboxes = {ShardKeys(*name, shard).outbox for name in names for shard in range(12)}

    assert len(outboxes) == 48
    assert len({key_slot(outbox.encode()) for outbox in outboxes}) > 40
    assert deployment_key("a.") != deployment_key("b.")
