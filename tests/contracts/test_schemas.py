"""The golden JSON Schemas: they say what the payload classes say, and no version breaks what it once promised.

The history is that of the git clone the tests run in: every version of a schema file that was ever committed. In a
source distribution there is none, and those tests are skipped; in a clone whose git fails, they fail.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from contracts.payload import Payload
from contracts.schemas import DIRECTORY, as_text, golden_files, payload_types, schema_of
from contracts.schemas.compatibility import breaking_changes
from tests.contracts.examples import example

ROOT = Path(__file__).parents[2]
TYPES = payload_types()
ACCOUNT_ID = schema_of(TYPES[0])["properties"]["account_id"]["pattern"]
# A committed version by which no record was ever written does not bind: git's id of the file -> why it does not.
# These are from before the first release.
NEVER_PUBLISHED: dict[str, str] = {
    "6dee04c41879f408a0ce71464fb9bc1186d9cd1e": "TrialEnded: `reason` became an open string",
    "48598a9f92b686a1171dfa271d333fadcdf9e80f": "AddOnPurchased: `origin` became an open string",
    "dc3ced2519559227ea0abf89a4e3a26d8363c4ad": "CommandRejected: reasons were added",
    "0a4b24b61597f9709f186d286946cfc4ca124b7d": "NotificationRequested: `template` became an open string",
}
# What every message broke before the first release -> why nothing else could be done.
BROKEN_BEFORE_RELEASE: dict[str, str] = dict.fromkeys(
    (
        "$.account_id: maxLength 128 added",  # the same bound, which stood in the pattern
        f"$.account_id: pattern changed from '^[!-~]{{1,128}}$' to {ACCOUNT_ID!r}",
    ),
    "no door could be asked about an account whose id has a slash",
)

of_every_type = pytest.mark.parametrize("payload", TYPES, ids=lambda payload: payload.ce_type)


def git(root: Path, *arguments: str) -> str:
    """Return what git says; an error of git is an error of the test."""
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def committed_versions(root: Path, folder: Path) -> dict[str, list[str]]:
    """Return, for each schema file of the history, git's ids of all its versions."""
    log = git(
        root, "log", "-m", "--format=", "--raw", "--no-abbrev", "--no-renames", "--", str(folder.relative_to(root))
    )
    found: dict[str, list[str]] = {}
    for blob, name in re.findall(r"^:\d+ \d+ [0-9a-f]+ ([0-9a-f]+) [AM]\t(?:.*/)?([^/\n]+\.json)$", log, re.MULTILINE):
        found.setdefault(name, []).append(blob)
    return found


def broken_promises(root: Path, folder: Path, name: str, new: dict[str, Any]) -> list[str]:
    """Return what a schema breaks of the committed versions of its file."""
    return [
        f"{complaint} (committed as {blob})"
        for blob in committed_versions(root, folder).get(name, [])
        if blob not in NEVER_PUBLISHED
        for complaint in breaking_changes(json.loads(git(root, "cat-file", "blob", blob)), new)
        if complaint not in BROKEN_BEFORE_RELEASE
    ]


@pytest.fixture(scope="module")
def clone() -> Path:
    """Give the root of the clone; skip where there is no history at all."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git clone: a source distribution has no history to compare with")
    return ROOT


def test_the_committed_schemas_are_the_generated_ones() -> None:
    """Every message type has its file, as `python -m contracts.schemas` makes it, and no other file is there."""
    committed = {path.name: path.read_text("utf-8") for path in DIRECTORY.glob("*.json")}
    assert committed == {path.name: text for path, text in golden_files()}


@of_every_type
def test_a_version_keeps_its_promises(clone: Path, payload: type[Payload]) -> None:
    """A message's schema breaks no version of it that was ever committed: neither its readers nor its records."""
    assert broken_promises(clone, DIRECTORY, f"{payload.ce_type}.json", schema_of(payload)) == []


def test_the_whole_history_is_compared(clone: Path) -> None:
    """The clone has its whole history, so that no promise is overlooked; a shallow one is reported as a skip."""
    if git(clone, "rev-parse", "--is-shallow-repository").strip() == "true":
        pytest.skip("a shallow clone: only the commits that are there were compared; git fetch --unshallow")
    committed = committed_versions(clone, DIRECTORY)
    at_head = git(clone, "ls-tree", "-r", "--name-only", "HEAD", "--", str(DIRECTORY.relative_to(clone))).split()
    assert {Path(name).name for name in at_head if name.endswith(".json")} <= committed.keys()


def test_a_broken_promise_is_found_in_the_history(tmp_path: Path) -> None:
    """A field that any earlier commit had is missed, even when the last commit has already lost it."""
    schema = tmp_path / "schemas" / "x.json"
    schema.parent.mkdir()
    git(tmp_path, "init", "-q")
    text = {"type": "string"}
    for properties in ({"a": text, "b": text}, {"a": text}):
        schema.write_text(json.dumps({"type": "object", "properties": properties}))
        git(tmp_path, "add", ".")
        git(tmp_path, "-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false", "commit", "-qm", "m")

    found = broken_promises(tmp_path, schema.parent, "x.json", json.loads(schema.read_text()))

    assert [line.split(" (")[0] for line in found] == ["$.b: removed"]
    assert broken_promises(tmp_path, schema.parent, "new.json", {}) == []


@of_every_type
def test_a_schema_is_a_schema(payload: type[Payload]) -> None:
    """A golden schema is valid JSON Schema 2020-12, names its type and version, and explains itself."""
    schema = schema_of(payload)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"] == f"addonflow:schema:{payload.ce_type}"
    assert schema["title"] == payload.__name__
    assert schema["description"]


@of_every_type
def test_a_schema_accepts_what_is_on_the_wire(payload: type[Payload]) -> None:
    """What may be sent, what a newer writer may add, and what a service emits all fit the schema."""
    validator = jsonschema.Draft202012Validator(schema_of(payload))
    message = example(payload.__name__)
    emitted = payload.model_validate(message).model_dump(mode="json", by_alias=True, exclude_none=True)
    for each in (message, emitted, {**message, "added_by_a_newer_writer": 1}):
        assert list(validator.iter_errors(each)) == []


@of_every_type
def test_a_schema_demands_what_a_reader_demands(payload: type[Payload]) -> None:
    """A message that lacks any one field fits the schema exactly when a reader accepts it."""
    validator = jsonschema.Draft202012Validator(schema_of(payload))
    for name in example(payload.__name__):
        lacking = example(payload.__name__)
        del lacking[name]
        assert validator.is_valid(lacking) == (name not in schema_of(payload)["required"])
        if validator.is_valid(lacking):
            payload.model_validate(lacking)
        else:
            with pytest.raises(ValueError, match=name):
                payload.model_validate(lacking)


def test_generated_text_is_the_same_every_time() -> None:
    """Keys are sorted, the indent is two spaces, text stays readable, and a newline ends the file."""
    assert as_text({"b": [1], "a": "é"}) == '{\n  "a": "é",\n  "b": [\n    1\n  ]\n}\n'
    assert dict(golden_files()) == dict(golden_files())
