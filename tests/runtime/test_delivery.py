"""What is delivered, and by what it is told from everything else."""

import pytest

from contracts.envelope import Envelope
from contracts.topics import BACKOFFICE, COMMANDS, READERS, Kind, Topic
from services.runtime.delivery import Delivery

ONE_ID = Envelope("order-17", "/somebody", "addons.Some.v1", None, "acme", 1, None, None, None, None)


def key_on(topic: Topic, ce_id: str = "order-17") -> str:
    """Return the key of a record with an id on a topic."""
    return Delivery.of(ONE_ID._replace(id=ce_id), topic, None).cause.key


@pytest.mark.parametrize("service", READERS)
def test_an_id_on_two_topics_is_two_causes(service: str) -> None:
    """Senders of a service's topics may choose the same id: no two of them but derived ones share the key."""
    chosen = [topic for topic in READERS[service] if topic.kind is not Kind.STREAM]
    assert len({key_on(topic) for topic in chosen}) == len(chosen)
    assert all(Delivery.of(ONE_ID, topic, None).cause.id == "order-17" for topic in READERS[service])


def test_the_key_of_a_members_command_is_its_id() -> None:
    """By it the command's answer is found in the inbox; the key of another topic's record is the id of none."""
    assert key_on(COMMANDS) == "order-17"
    assert key_on(BACKOFFICE) not in {key_on(COMMANDS, f"{BACKOFFICE.name}{space}order-17") for space in ("", " ", ":")}


def test_a_timers_cause_is_read_back_as_it_was_written() -> None:
    """From the id of its cause a timer is known again, whatever colons and numbers its name holds; others are not."""
    for name in ("renewal", "tell:trial:ai:51", "tell:trial:ai:51+7"):
        for said in (None, 0, 12):
            made = Delivery.of_timer("acme", name, 1_000, said)
            assert Delivery.of_timer_cause("acme", made.cause.id) == made
    for other in ("order-17", "timer:globex:renewal:1000+1", "timer:acme:renewal:soon", "timer:acme:renewal:1000+x"):
        assert Delivery.of_timer_cause("acme", other) is None
