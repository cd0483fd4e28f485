"""The AsyncAPI documents: whole, well formed, and the same as the registry and the applications say."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from contracts.asyncapi import DIRECTORY, ContractBrokenError, messages, service_document, system_document
from contracts.asyncapi.messages import components
from contracts.payload import Payload
from contracts.results import CommandRejected
from contracts.schemas import payload_types, schema_of
from contracts.topics import BILLING, COMMANDS, READERS, RESULTS, TOPICS, Kind, dead_letter_topics, topic_of
from deploy.asyncapi import app_document, golden_files
from services.runtime.codec import Outgoing, pack, to_json, unpack
from tests.contracts.examples import example

Document = dict[str, Any]
SERVICES = sorted(READERS)


def app_of(*receives: str, sends: tuple[str, ...] = (), asyncapi: str = "3.0.0") -> Document:
    """Return what an application's own document says of the topics it receives and sends."""
    operations = [("receive", name) for name in receives] + [("send", name) for name in sends]
    return {
        "asyncapi": asyncapi,
        "info": {"title": "app", "version": "1"},
        "defaultContentType": "application/json",
        "channels": {f"{name}:Handle": {"address": name, "description": f"about {name}"} for _, name in operations},
        "operations": {
            f"{name}:{action}": {"action": action, "channel": {"$ref": f"#/channels/{name}:Handle"}}
            for action, name in operations
        },
    }


def app_like(service: str) -> Document:
    """Return the document of an application that does what the registry says."""
    return app_of(*(topic.name for topic in READERS[service]))


def documents() -> list[Any]:
    """Return all documents, made from well-behaved applications."""
    made = [pytest.param(service_document(name, app_like(name)), id=name) for name in SERVICES]
    return [pytest.param(system_document(), id="system"), *made]


def references(part: Any) -> Iterator[str]:
    """Yield every reference of a document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def target(document: Document, reference: str) -> Any:
    """Return what a reference points at; KeyError when that is nothing."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def sent_by(document: Document) -> Counter[str]:
    """Return how many operations send to each address."""
    return Counter(
        target(document, operation["channel"]["$ref"])["address"]
        for operation in document["operations"].values()
        if operation["action"] == "send"
    )


def test_the_committed_documents_are_the_generated_ones() -> None:
    """The committed files are what `python -m deploy.asyncapi` makes of the registry and the real applications."""
    committed = {path.name: path.read_text("utf-8") for path in DIRECTORY.glob("*.json")}
    assert committed == {path.name: text for path, text in golden_files()}


@pytest.mark.parametrize("service", SERVICES)
def test_an_application_receives_what_the_registry_says(service: str) -> None:
    """FastStream's own document of each application receives the service's topics and publishes nothing by itself."""
    document = app_document(service)
    received = {channel["address"] for channel in document["channels"].values()}
    assert received == {topic.name for topic in READERS[service]}
    assert {operation["action"] for operation in document["operations"].values()} == {"receive"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_document_keeps_what_its_application_says(service: str) -> None:
    """A service's document keeps the application's title, version and descriptions of what it receives."""
    app = app_like(service)
    document = service_document(service, app)
    assert document["info"] == app["info"]
    for topic in READERS[service]:
        assert document["operations"][f"receive.{topic.name}"]["description"] == f"about {topic.name}"


@pytest.mark.parametrize(
    ("app", "complaint"),
    [
        pytest.param(app_of(), "subscribes to", id="reads nothing"),
        pytest.param(app_of(*(topic.name for topic in TOPICS)), "subscribes to", id="reads too much"),
        pytest.param(app_of(COMMANDS.name), "subscribes to", id="reads another's"),
        pytest.param({**app_like("billing"), "asyncapi": "2.6.0"}, "not 3", id="an old document"),
        pytest.param(
            app_of(*(topic.name for topic in READERS["billing"]), sends=(RESULTS.name,)),
            "publishes to",
            id="writes another's",
        ),
    ],
)
def test_an_application_that_does_something_else_has_no_document(app: Document, complaint: str) -> None:
    """An application that reads or writes other topics than the registry says stops the generation with one line."""
    with pytest.raises(ContractBrokenError, match=f"^billing.*{complaint}"):
        service_document("billing", app)


def test_an_application_may_publish_what_is_its_own() -> None:
    """An application that publishes to its own topic or dead letters itself is within the contract."""
    reads = READERS["billing"]
    own = (BILLING.name, *(topic.dead_letters_of("billing") for topic in reads))
    assert service_document("billing", app_of(*(topic.name for topic in reads), sends=own)) == service_document(
        "billing", app_like("billing")
    )


@pytest.mark.parametrize("document", documents())
def test_a_document_is_well_formed(document: Document) -> None:
    """Every reference leads somewhere, operations name the messages of their channel, keys are as AsyncAPI wants."""
    assert document["asyncapi"].startswith("3.")
    assert document["info"]["title"]
    assert document["info"]["version"]
    for reference in references(document):
        assert target(document, reference)
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        channel = operation["channel"]["$ref"]
        within = {f"{channel}/messages/{name}" for name in target(document, channel)["messages"]}
        assert {message["$ref"] for message in operation["messages"]} == within
    for kind in ("messages", "schemas"):
        for name, part in document["components"][kind].items():
            assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")
            if kind == "schemas":
                jsonschema.Draft7Validator.check_schema(part)


@pytest.mark.parametrize("document", documents())
def test_nothing_in_a_document_is_left_over(document: Document) -> None:
    """Every component and every channel is used: the document of a service is about that service."""
    used = set(references(document))
    for kind, parts in document["components"].items():
        assert {f"#/components/{kind}/{name}" for name in parts} <= used
    assert {f"#/channels/{name}" for name in document["channels"]} <= used


def test_every_message_type_is_on_exactly_one_channel() -> None:
    """In the system's document each message type of the registry appears on one channel, once."""
    counted = Counter(name for channel in system_document()["channels"].values() for name in channel["messages"])
    dead_letters = counted.pop("DeadLetter")
    assert counted == {payload.ce_type: 1 for payload in payload_types()}
    assert dead_letters == len(list(dead_letter_topics()))


def test_every_topic_has_one_writer() -> None:
    """In the system's document each topic, dead letters included, is a channel with one sender."""
    document = system_document()
    names = [*(topic.name for topic in TOPICS), *dead_letter_topics()]
    assert {channel["address"] for channel in document["channels"].values()} == set(names)
    assert sent_by(document) == dict.fromkeys(names, 1)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_sends_its_outbox_and_its_dead_letters(service: str) -> None:
    """A service sends to the topics it writes and to the dead letters of those it reads, and nowhere else."""
    own = {topic.name for topic in TOPICS if topic.writer == service}
    dead = {topic.dead_letters_of(service) for topic in READERS[service]}
    assert own
    assert sent_by(service_document(service, app_like(service))) == dict.fromkeys(own | dead, 1)


@pytest.mark.parametrize("payload", payload_types(), ids=lambda payload: payload.ce_type)
def test_a_message_is_described_as_it_is_published(payload: type[Payload]) -> None:
    """A record as the relay publishes it fits the message's headers and payload; its key is the account id."""
    document = system_document()
    message = document["components"]["messages"][payload.ce_type]
    record = published(payload, sequence=1)
    assert errors(document, message["headers"], headers_of(record)) == []
    assert errors(document, message["payload"], json.loads(record.value)) == []
    assert errors(document, message["bindings"]["kafka"]["key"], record.key.decode()) == []


def published(payload: type[Payload], sequence: int | None) -> Outgoing:
    """Return the example of a message type as the relay publishes it."""
    data = payload.model_validate(example(payload.__name__))
    at = "2026-09-30T15:04:05Z"
    return unpack(pack(payload.ce_type, "id", at, "acme", sequence or 0, "cause", "first", "", to_json(data)))


def headers_of(record: Outgoing) -> dict[str, str]:
    """Return a record's headers as text."""
    return {name: text.decode() for name, text in record.headers}


def errors(document: Document, schema: Document, instance: Any) -> list[str]:
    """Return what of an instance does not fit a schema of the document."""
    whole = {"components": document["components"], "allOf": [schema]}
    return [error.message for error in jsonschema.Draft7Validator(whole).iter_errors(instance)]


@pytest.mark.parametrize("payload", payload_types(), ids=lambda payload: payload.ce_type)
def test_headers_without_identity_do_not_fit(payload: type[Payload]) -> None:
    """Every message needs its CloudEvents attributes, and cannot be of another type; senders may leave out the rest."""
    document = system_document()
    headers = document["components"]["messages"][payload.ce_type]["headers"]
    given = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/dashboard", "ce_type": payload.ce_type}

    assert (errors(document, headers, given) == []) == (topic_of(payload).kind is not Kind.STREAM)
    assert errors(document, headers, {**given, "ce_type": "addons.Other.v1"})
    for name in given:
        assert errors(document, headers, {key: text for key, text in given.items() if key != name})


@pytest.mark.parametrize("payload", payload_types(), ids=lambda payload: payload.ce_type)
def test_a_stream_needs_sequences(payload: type[Payload]) -> None:
    """A record of a stream without `ce_sequence` does not fit, except the refusal for an account nobody knows."""
    document = system_document()
    headers = document["components"]["messages"][payload.ce_type]["headers"]
    unnumbered = headers_of(published(payload, sequence=None))
    optional = topic_of(payload).kind is not Kind.STREAM or payload is CommandRejected

    assert (errors(document, headers, unnumbered) == []) == optional
    if topic_of(payload).kind is Kind.STREAM:
        assert errors(document, headers, {**unnumbered, "ce_sequence": "0"})


def test_one_name_means_one_thing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two types of one name with different schemas stop the generation: a reference would lead to the wrong one."""
    first, second = RESULTS.payloads

    def schema_with_its_own_part(payload: type[Payload]) -> Document:
        part = {"type": "string" if payload is first else "integer"}
        return {**schema_of(payload), "$defs": {"Part": part}}

    monkeypatch.setattr(messages, "schema_of", schema_with_its_own_part)
    assert components([first])["schemas"]["Part"] == {"type": "string"}
    with pytest.raises(ValueError, match="Part is already the name of something else"):
        components([first, second])
