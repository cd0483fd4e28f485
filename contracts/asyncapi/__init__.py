"""The AsyncAPI 3 documents: the wire contract as tools and people of other languages read it. Pure.

`system_document` says all that the registry says: every topic with its messages, headers, key and dead letters, and who
sends and receives what. `service_document` says one service's part of it, and starts from the application's own
AsyncAPI: what that subscribes to is what the registry says the service reads, or there is no document. What an
application cannot know (its handler takes batches of bytes, the relay publishes its outbox) comes from the registry.

The committed files are those of a deployment without a namespace, which is a prefix of every address.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from contracts.asyncapi.messages import DEAD_LETTER, KAFKA_BINDING, components, reference
from contracts.topics import READERS, TOPICS, Kind, Topic

Document = dict[str, Any]

DIRECTORY = Path(__file__).parent
SYSTEM = "addonflow"
CONTRACT_VERSION = "1.0.0"  # major: that of the topics; minor: one more message type or optional field
_ASYNCAPI = "3.0.0"
_PARTITIONED = "Key: the account id. Partitions: as many as every other topic of the deployment has (12 unless set)."
_HOW_READ = {
    Kind.FACTS: "A fact is the whole truth of its subject, stale when its `revision` is not higher than the reader's.",
    Kind.COMMANDS: "A command is told from its repetition by `ce_id`: sent twice, it has one effect and one answer.",
    Kind.STREAM: "A record is told from its repetition by `ce_sequence`, which counts 1, 2, 3 … per account.",
}
_STRUCTURED = "CloudEvents structured mode (`application/cloudevents+json`) is read as well."


class ContractBrokenError(ValueError):
    """An application does not do what the registry says; the message is one line."""


def system_document() -> Document:
    """Return the whole contract; an operation's name is `<party>.<action>.<topic>`."""
    operations: dict[str, Any] = {}
    for topic in TOPICS:
        operations[f"{topic.writer}.send.{topic.name}"] = _operation("send", topic, topic.writer)
    for service, topics in READERS.items():
        for topic in topics:
            operations[f"{service}.receive.{topic.name}"] = _operation("receive", topic, service)
            dead_letters = topic.dead_letters_of(service)
            operations[f"{service}.send.{dead_letters}"] = _set_aside(topic, service)
    return {
        "asyncapi": _ASYNCAPI,
        "info": {
            "title": SYSTEM,
            "version": CONTRACT_VERSION,
            "description": "Self-service add-ons: commands in, events, invoices and notifications out.",
        },
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": {
            **{topic.name: _channel(topic) for topic in TOPICS},
            **{
                topic.dead_letters_of(service): _dead_letter_channel(topic, service)
                for service, topics in READERS.items()
                for topic in topics
            },
        },
        "operations": operations,
        "components": components(payload for topic in TOPICS for payload in topic.payloads),
    }


def service_document(name: str, app_document: Mapping[str, Any]) -> Document:
    """Return the contract of one service; an operation's name is `<action>.<topic>`.

    `app_document` is the AsyncAPI 3 document that FastStream makes of the service's broker. Its `info` and the
    descriptions of its channels are kept. ContractBrokenError when it subscribes to other topics than the service's
    in READERS, or publishes by itself to a topic that is neither its own nor for its dead letters.
    """
    reads, writes = READERS[name], tuple(topic for topic in TOPICS if topic.writer == name)
    described = _check(name, app_document, reads, writes)
    operations: dict[str, Any] = {}
    for topic in reads:
        operations[f"receive.{topic.name}"] = _operation("receive", topic, name) | described.get(topic.name, {})
        operations[f"send.{topic.dead_letters_of(name)}"] = _set_aside(topic, name)
    for topic in writes:
        operations[f"send.{topic.name}"] = _operation("send", topic, name)
    return {
        "asyncapi": app_document["asyncapi"],
        "info": dict(app_document["info"]),
        "defaultContentType": app_document["defaultContentType"],
        "servers": _servers(),
        "channels": {
            **{topic.name: _channel(topic) for topic in (*reads, *writes)},
            **{topic.dead_letters_of(name): _dead_letter_channel(topic, name) for topic in reads},
        },
        "operations": operations,
        "components": components(payload for topic in (*reads, *writes) for payload in topic.payloads),
    }


def _check(
    name: str, app_document: Mapping[str, Any], reads: Iterable[Topic], writes: Iterable[Topic]
) -> dict[str, dict[str, str]]:
    """Return the application's own descriptions of what it receives, by address."""
    if not str(app_document["asyncapi"]).startswith("3."):
        raise ContractBrokenError(f"{name}: its document is AsyncAPI {app_document['asyncapi']}, not 3")
    received, sent = (_addressed(app_document, action) for action in ("receive", "send"))
    wanted = {topic.name for topic in reads}
    if received.keys() != wanted:
        raise ContractBrokenError(f"{name} subscribes to {sorted(received)}, the registry says {sorted(wanted)}")
    allowed = {topic.name for topic in writes} | {topic.dead_letters_of(name) for topic in reads}
    if not sent.keys() <= allowed:
        raise ContractBrokenError(f"{name} publishes to {sorted(sent)}, the registry says {sorted(allowed)}")
    return received


def _addressed(app_document: Mapping[str, Any], action: str) -> dict[str, dict[str, str]]:
    found = {}
    for operation in app_document["operations"].values():
        if operation["action"] == action:
            channel = app_document["channels"][operation["channel"]["$ref"].removeprefix("#/channels/")]
            found[channel["address"]] = {key: channel[key] for key in ("description",) if channel.get(key)}
    return found


def _servers() -> Document:
    variable = {"default": "127.0.0.1:9092", "description": "Any broker of the deployment's Kafka."}
    return {"kafka": {"host": "{bootstrap}", "protocol": "kafka", "variables": {"bootstrap": variable}}}


def _channel(topic: Topic) -> Document:
    lines = [f"Written by {topic.writer} alone.", _HOW_READ[topic.kind], _PARTITIONED]
    if topic.kind is not Kind.STREAM:
        lines.append(_STRUCTURED)
    return {
        "address": topic.name,
        "description": " ".join(lines),
        "messages": {each.ce_type: reference("components", "messages", each.ce_type) for each in topic.payloads},
        "bindings": _bound_to(topic.name),
    }


def _dead_letter_channel(topic: Topic, service: str) -> Document:
    name = topic.dead_letters_of(service)
    return {
        "address": name,
        "description": f"Records of {topic.name} that {service} could not read, in the partition they came from.",
        "messages": {DEAD_LETTER: reference("components", "messages", DEAD_LETTER)},
        "bindings": _bound_to(name),
    }


def _bound_to(name: str) -> Document:
    return {"kafka": {"topic": name, "bindingVersion": KAFKA_BINDING}}


def _operation(action: str, topic: Topic, party: str) -> Document:
    if action == "receive":
        summary = "Acknowledged after its effect is durable; delivered again, it has no further effect."
    elif party in READERS:
        summary = "Published from the outbox, in the order of the account's decisions."
    else:
        summary = "Written from outside."
    return {
        "action": action,
        "summary": summary,
        "channel": reference("channels", topic.name),
        "messages": [reference("channels", topic.name, "messages", each.ce_type) for each in topic.payloads],
        "tags": [{"name": party}],
    }


def _set_aside(topic: Topic, service: str) -> Document:
    name = topic.dead_letters_of(service)
    return {
        "action": "send",
        "summary": "Set aside: acknowledged by the broker before the record's offset moves.",
        "channel": reference("channels", name),
        "messages": [reference("channels", name, "messages", DEAD_LETTER)],
        "tags": [{"name": service}],
    }
