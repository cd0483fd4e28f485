"""Whatever befalls two processes that own one shard, each message has its effect once and is published in order."""

from tests.chaos.lives import HISTORIES, live


def test_any_life_of_a_shard_gives_every_message_its_one_effect(embedded_valkey_url: str) -> None:
    """Repeated, reordered, at once, with lost replies, killed processes and flushed functions: once each, in order."""
    live(embedded_valkey_url, HISTORIES)
