"""Rights on Kafka: what the registry of topics says, and nothing else."""

import pytest

from contracts.access import PARTIES, Operation, Pattern, Resource, Right, rights, rights_of
from contracts.topics import ACCOUNTS, BACKOFFICE, COMMANDS, OUTSIDE, READERS, TOPICS, Topic, dead_letter_topics
from services.dashboard.log import HISTORY
from services.dashboard.reading import HEARD

EVERY = rights("")


def who_may(operation: Operation, name: str) -> set[str]:
    """Return who has a right on a topic."""
    return {
        each.user for each in EVERY if (each.resource, each.name, each.operation) == (Resource.TOPIC, name, operation)
    }


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_topic_is_written_by_its_writer_and_read_by_its_readers(topic: Topic) -> None:
    """Nobody but its one writer may write a topic, and nobody may read it whom the registry does not name."""
    assert who_may(Operation.WRITE, topic.name) == {topic.writer}
    readers = {party for party, topics in (READERS | OUTSIDE).items() if topic in topics}
    assert who_may(Operation.READ, topic.name) == readers


def test_dead_letters_are_written_by_their_service_and_read_by_operators_alone() -> None:
    """A service writes the dead letters of what it reads; they hold anything, so no party may read them."""
    for service, topics in READERS.items():
        for topic in topics:
            assert who_may(Operation.WRITE, topic.dead_letters_of(service)) == {service}
    assert all(who_may(Operation.READ, name) == set() for name in dead_letter_topics())


def test_members_and_staff_come_in_by_different_users() -> None:
    """The dashboard may not write what only staff may say, and the back office not what members say."""
    assert who_may(Operation.WRITE, COMMANDS.name) == {"dashboard"}
    assert who_may(Operation.WRITE, BACKOFFICE.name) == {"backoffice"}
    assert who_may(Operation.WRITE, ACCOUNTS.name) == {"accounts"}


def test_subscribers_only_read() -> None:
    """A subscriber writes nothing."""
    assert {each.operation for each in rights_of("", "subscriber")} == {Operation.READ}


def test_a_group_is_of_one_party() -> None:
    """A service has the one group it reads in; outside parties have groups that begin with their name."""
    groups = {(each.user, each.name, each.pattern) for each in EVERY if each.resource is Resource.GROUP}
    services = {(service, f"addonflow.{service}", Pattern.LITERAL) for service in READERS}
    outside = {(party, f"{party}.", Pattern.PREFIXED) for party, topics in OUTSIDE.items() if topics}
    assert groups == services | outside


def test_the_reference_dashboard_reads_what_its_parties_may() -> None:
    """What its pages hear is what the dashboard may read, and the staff's history is what the back office may."""
    assert set(OUTSIDE["dashboard"]) == set(HEARD)
    assert set(OUTSIDE["backoffice"]) == set(HISTORY)


def test_a_namespace_has_users_of_its_own() -> None:
    """Users, topics and groups carry the namespace: two deployments on a cluster share no right."""
    ours, theirs = rights("ours."), rights("theirs.")
    assert len(ours) == len(theirs) == len(EVERY)
    for right in ours:
        assert right.user.startswith("ours.")
        assert right.name.startswith("ours.")
    assert set(ours).isdisjoint(theirs)


def test_whoever_writes_is_a_party() -> None:
    """Every writer of the registry is a service or an outside party, so that it has a user."""
    assert {topic.writer for topic in TOPICS} <= set(PARTIES)
    assert all(isinstance(each, Right) for each in EVERY)
