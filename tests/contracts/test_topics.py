"""The registry of topics: one writer a topic, one topic a message type."""

from collections import Counter
from typing import get_args

import pytest

from contracts.backoffice import BackOfficeCommand
from contracts.commands import BackOfficeAttempt, Command, OwnerCommand
from contracts.topics import BACKOFFICE, BY_NAME, COMMANDS, READERS, TOPICS, Kind, Topic, dead_letter_topics, topic_of
from tests.contracts.examples import example_names

PAYLOADS = [payload for topic in TOPICS for payload in topic.payloads]
SERVICES = {"entitlements", "billing", "notifications"}


def test_every_topic_is_registered_once() -> None:
    """A topic's name stands for one topic, and so for one writer."""
    assert {topic.name: topic for topic in TOPICS} == BY_NAME
    assert len(BY_NAME) == len(TOPICS)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_has_one_writer_and_its_family(topic: Topic) -> None:
    """A topic names one writer, from which its source derives, and carries messages of its own family and version."""
    family, *_, version = topic.name.split(".")
    assert topic.writer
    assert topic.source == f"/{topic.writer}"
    assert topic.payloads
    for payload in topic.payloads:
        assert payload.ce_type == f"{family}.{payload.__name__}.{version}"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_services_write_streams_and_read_what_others_send(topic: Topic) -> None:
    """What a service emits is a stream with sequences; what comes from outside is told apart by revision or id."""
    assert (topic.kind is Kind.STREAM) == (topic.writer in SERVICES)


def test_a_message_type_is_written_to_one_topic() -> None:
    """A message type belongs to one topic, and its CloudEvents type is nobody else's."""
    assert [payload for payload, count in Counter(PAYLOADS).items() if count > 1] == []
    assert len({payload.ce_type for payload in PAYLOADS}) == len(PAYLOADS)
    assert all(payload in topic_of(payload).payloads for payload in PAYLOADS)


def test_every_message_type_has_an_example() -> None:
    """The tests of payloads and schemas cover every message type of the registry."""
    assert example_names() == {payload.__name__ for payload in PAYLOADS}


def test_members_and_staff_have_a_topic_each() -> None:
    """The commands' topic carries what members may say and refuses what only staff may; theirs carries that."""
    assert set(COMMANDS.payloads) == {*get_args(Command), *get_args(OwnerCommand)}
    assert set(BACKOFFICE.payloads) == set(COMMANDS.refuses) == set(get_args(BackOfficeCommand))
    assert COMMANDS.refused_as is BackOfficeAttempt


def test_services_read_registered_topics_of_others() -> None:
    """A service reads registered topics, and never one it writes itself."""
    assert set(READERS) == SERVICES
    for service, topics in READERS.items():
        assert set(topics) <= set(TOPICS)
        assert service not in {topic.writer for topic in topics}


def test_every_reader_has_its_own_dead_letters() -> None:
    """Each service has one dead-letter topic for each topic it reads, shared with nobody and named after both."""
    names = list(dead_letter_topics())
    assert len(set(names)) == len(names) == sum(len(topics) for topics in READERS.values())
    assert set(names).isdisjoint(BY_NAME)
    for service, topics in READERS.items():
        assert {f"{topic.name}.{service}.dlq" for topic in topics} <= set(names)
