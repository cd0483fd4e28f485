"""Whatever befalls two processes that own one shard, each message has its effect once and is published in order."""

from hypothesis.stateful import run_state_machine_as_test

from tests.chaos.lives import ShardLife


def test_any_life_of_a_shard_gives_every_message_its_one_effect(embedded_valkey_url: str) -> None:
    """Repeated, reordered, at once, with lost replies, killed processes and flushed functions: once each, in order."""
    ShardLife.redis_url = embedded_valkey_url
    run_state_machine_as_test(ShardLife)
