"""Who may do what on a real Kafka: every party, every topic, by a client that is not ours (librdkafka).

What is expected follows from the registry; what is seen, from deploy/kafka.properties and `addonflow access create`.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from contracts.access import PARTIES
from contracts.topics import BY_NAME, COMMANDS, OUTSIDE, READERS, dead_letter_topics, group_name
from deploy.addonflow.access import grant_on_kafka, librdkafka_client
from services.runtime.settings import Settings
from tests.secured import SecuredKafka

EVERY = [*BY_NAME, *dead_letter_topics()]
GROUPS = [group_name("", service) for service in READERS] + [f"{party}.x" for party in OUTSIDE] + ["anything"]
TOPIC_DENIED = KafkaError.TOPIC_AUTHORIZATION_FAILED
GROUP_DENIED = KafkaError.GROUP_AUTHORIZATION_FAILED
DENIED = {TOPIC_DENIED, GROUP_DENIED, KafkaError.CLUSTER_AUTHORIZATION_FAILED}
SECONDS = 20


def client(settings: Settings, **more: Any) -> dict[str, Any]:
    """Return what a client takes, quiet about what it is refused."""
    return librdkafka_client(settings) | {"log_level": 0, "log.connection.close": False} | more


def may_write(kafka: SecuredKafka, party: str) -> set[str]:
    """Return the topics that a party can write; who may write any gets along with an idempotent producer."""
    written: set[str] = set()
    refused: set[str] = set()

    def told(error: KafkaError | None, message: Any) -> None:
        assert error is None or error.code() == TOPIC_DENIED, error
        (written if error is None else refused).add(message.topic().removeprefix(kafka.namespace))

    writes = any(topic.writer == party for topic in BY_NAME.values())
    producer = Producer(client(kafka.settings(party), **{"enable.idempotence": writes}))
    for name in EVERY:
        producer.produce(kafka.namespace + name, value=b"{}", key=b"acme", partition=0, on_delivery=told)
    assert producer.flush(SECONDS) == 0
    assert written | refused == set(EVERY)
    return written


def may_read(kafka: SecuredKafka, party: str) -> set[str]:
    """Return the topics that a party can read, without a group. What is hidden from it, it cannot read."""
    shown = AdminClient(client(kafka.settings(party))).list_topics(timeout=SECONDS).topics
    every = {name for name in EVERY if kafka.namespace + name in shown}
    read: set[str] = set()
    refused: set[str] = set()
    groupless = {
        "group.id": "none",
        "session.timeout.ms": 100,
        "heartbeat.interval.ms": 50,
        "enable.partition.eof": True,
    }
    consumer = Consumer(client(kafka.settings(party), **groupless))  # to close it waits as long as a session lasts
    consumer.assign([TopicPartition(kafka.namespace + name, 0, 0) for name in every])
    deadline = time.monotonic() + SECONDS
    while read | refused != every:
        assert time.monotonic() < deadline, every - read - refused
        message = consumer.poll(1)
        if message is None or not message.topic():  # it may have no group, which is none of this
            continue
        error, name = message.error(), (message.topic() or "").removeprefix(kafka.namespace)
        assert error is None or error.code() in {TOPIC_DENIED, KafkaError._PARTITION_EOF}, error
        (refused if error is not None and error.code() == TOPIC_DENIED else read).add(name)
    consumer.close()
    return read


def may_join(kafka: SecuredKafka, party: str) -> set[str]:
    """Return the groups in which a party can keep its place."""
    admin = AdminClient(client(kafka.settings(party)))
    topic = next(iter((*READERS.get(party, ()), *OUTSIDE.get(party, ()))), COMMANDS).name
    joined = set()
    for group in GROUPS:
        place = ConsumerGroupTopicPartitions(kafka.namespace + group, [TopicPartition(kafka.namespace + topic, 0, 0)])
        [future] = admin.alter_consumer_group_offsets([place]).values()
        error = future.exception(SECONDS)
        if error is None:
            joined.add(group)
        elif not isinstance(error, KafkaException) or error.args[0].code() != GROUP_DENIED:
            raise error
    return joined


@pytest.mark.parametrize("party", PARTIES)
def test_a_party_can_do_what_the_registry_says_and_nothing_else(secured_kafka: SecuredKafka, party: str) -> None:
    """Of all topics and dead letters a party writes and reads exactly its own, and it has no group but its own."""
    dead_letters = {topic.dead_letters_of(party) for topic in READERS.get(party, ())}
    assert may_write(secured_kafka, party) == dead_letters | {
        name for name, topic in BY_NAME.items() if topic.writer == party
    }
    reads = {topic.name for topic in (*READERS.get(party, ()), *OUTSIDE.get(party, ()))}
    assert may_read(secured_kafka, party) == reads
    groups = {group_name("", party)} if party in READERS else {f"{party}.x"} if reads else set()
    assert may_join(secured_kafka, party) == groups


def refusals(kafka: SecuredKafka, party: str) -> Iterator[tuple[str, int]]:
    """Try to administrate as a party; yield what was tried and with which error it was refused."""
    admin = AdminClient(client(kafka.settings(party)))
    own = kafka.namespace + next((name for name, topic in BY_NAME.items() if topic.writer == party), EVERY[0])
    anything: Any = None
    every = AclBindingFilter(
        ResourceType.ANY,
        anything,
        ResourcePatternType.ANY,
        anything,
        anything,
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4_096)
    tries: dict[str, Any] = {
        "create a topic": lambda: admin.create_topics([NewTopic(f"{own}.more", 1, 1)]),
        "delete its own topic": lambda: admin.delete_topics([own]),
        "see settings of the broker": lambda: admin.describe_configs([ConfigResource("BROKER", "1")]),
        "take rights": lambda: admin.delete_acls([every]),
        "set a password": lambda: admin.alter_user_scram_credentials([UserScramCredentialUpsertion("x", info, b"x")]),
        "forget a group": lambda: admin.delete_consumer_groups([f"{kafka.namespace}addonflow.x"]),
    }
    assert admin.describe_acls(every).result(SECONDS) == []  # refused: librdkafka tells of no right, and of no error
    for name, attempt in tries.items():
        for future in attempt().values():
            error = future.exception(SECONDS)
            yield name, error.args[0].code() if isinstance(error, KafkaException) else 0


@pytest.mark.parametrize("party", ["billing", "dashboard", "subscriber"])
def test_no_party_administrates(secured_kafka: SecuredKafka, party: str) -> None:
    """Topics, rights, passwords, settings and groups are the administrator's alone."""
    tried = dict(refusals(secured_kafka, party))
    assert {name: code for name, code in tried.items() if code not in DENIED} == {}
    assert len(tried) == 6


def test_nobody_comes_in_without_a_user(secured_kafka: SecuredKafka) -> None:
    """Without a password, or with another one, nothing at all is answered."""
    strangers: tuple[dict[str, Any], ...] = (
        {"bootstrap.servers": secured_kafka.bootstrap, "log_level": 0},
        client(secured_kafka.settings("billing"), **{"sasl.password": "another"}),
        client(secured_kafka.settings("billing"), **{"sasl.username": "nobody"}),
    )
    for said in strangers:
        with pytest.raises(KafkaException):
            AdminClient(said).list_topics(timeout=1)


def test_granting_again_changes_nothing_and_takes_what_nothing_says(secured_kafka: SecuredKafka) -> None:
    """A second run gives and takes nothing; a right that no registry says is taken."""
    again = asyncio.run(grant_on_kafka(secured_kafka.as_broker(), secured_kafka.passwords))
    assert (again.given, again.taken) == (0, 0)

    secured_kafka.allow("billing", EVERY[0], AclOperation.WRITE)
    assert EVERY[0] in may_write(secured_kafka, "billing")
    cleaned = asyncio.run(grant_on_kafka(secured_kafka.as_broker(), secured_kafka.passwords))
    assert (cleaned.given, cleaned.taken) == (0, 1)
    assert EVERY[0] not in may_write(secured_kafka, "billing")
