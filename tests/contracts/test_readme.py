"""The page about the contracts says what the contracts say."""

import json
import re
from pathlib import Path

from contracts.events import FeatureRequested
from contracts.identity import derive_record_id
from contracts.schemas import payload_types
from contracts.topics import EVENTS, READERS, TOPICS
from services.runtime.codec import to_json

PAGE = (Path(__file__).parents[2] / "contracts" / "README.md").read_text("utf-8")
OUTSIDE = {"accounts": "account system", "dashboard": "dashboards", "backoffice": "back office"}


def the_record() -> tuple[dict[str, str], str, str]:
    """Return headers, key and value of the page's record, its line breaks undone."""
    (block,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    attributes, value = block.replace("\n{", " {", 1).replace(",\n", ",").strip().replace("\n", " ").split(" {", 1)
    headers, key = attributes.rsplit(" ", 1)
    return dict(each.split("=", 1) for each in headers.split(",")), key, "{" + value


def test_the_table_of_messages_is_the_registry() -> None:
    """Every topic has a row with its writer, the services that read it, and exactly its messages."""
    rows = {
        cells[0]: cells for cells in re.findall(r"^\| `([\w.]+)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    }
    assert set(rows) == {topic.name for topic in TOPICS}
    for topic in TOPICS:
        _, writer, readers, messages = rows[topic.name]
        assert writer == OUTSIDE.get(topic.writer, topic.writer)
        assert {service for service in READERS if service in readers} == {
            service for service, topics in READERS.items() if topic in topics
        }
        assert re.findall(r"`(\w+)`", messages) == [payload.__name__ for payload in topic.payloads]


def test_the_record_on_the_page_is_a_real_one() -> None:
    """The example of a record has a derived id, the account as key and subject, and the bytes we would write."""
    headers, key, value = the_record()
    assert headers["ce_type"] == FeatureRequested.ce_type
    assert headers["ce_source"] == EVENTS.source
    place = (EVENTS.name, int(headers["ce_sequence"]), headers["ce_time"])
    assert headers["ce_id"] == derive_record_id(headers["ce_subject"], headers["ce_causationid"], *place)
    assert key == headers["ce_subject"] == json.loads(value)["account_id"]
    assert to_json(FeatureRequested.model_validate_json(value)) == value.encode()


def test_types_named_on_the_page_exist() -> None:
    """Every message type that the page spells in full is in the registry."""
    named = set(re.findall(r"\b(?:addons|billing|notifications)\.[A-Z]\w+\.v\d", PAGE))
    assert named <= {payload.ce_type for payload in payload_types()}
    assert FeatureRequested.ce_type in named
