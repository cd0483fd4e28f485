"""The log: one line an event in the form that is asked for, whoever writes it, and no secret in it."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

from contracts.accounts import MemberUpdated
from services.runtime import logs
from services.runtime.errors import ConfigurationError
from services.runtime.logs import fields, redacted
from tests.runtime.toys import Counted, CounterDocument


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Give the root logger its handlers back."""
    root = logging.getLogger()
    handlers, level, hook = root.handlers[:], root.level, sys.excepthook
    yield
    root.handlers[:], root.level, sys.excepthook = handlers, level, hook
    logs.OUTCOMES.setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    """Return what was written, each line as JSON."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_of_json_holds_what_a_machine_asks_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Time, level, service, logger and message, then the fields by name; what has no value is left out."""
    logs.configure("info", "json", "billing", outcomes=False)
    logging.getLogger("addonflow.relay").warning("cannot %s", "publish", extra=fields(shard=3, account=None))
    (line,) = lines(capsys)
    assert str(line.pop("time")).endswith("Z")
    assert line == {
        "level": "warning",
        "service": "billing",
        "logger": "addonflow.relay",
        "message": "cannot publish",
        "shard": 3,
    }


def test_a_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The same as one line of text, fields as name=value."""
    logs.configure("info", "text", "billing", outcomes=False)
    logging.getLogger("addonflow.relay").warning("cannot publish", extra=fields(shard=3))
    assert capsys.readouterr().err.endswith(" WARNING addonflow.relay cannot publish shard=3\n")


def test_everybody_writes_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    """Libraries, warnings and errors that nobody caught are lines of JSON too, a traceback within its line."""
    own = logging.getLogger("faststream")  # it brings a form of its own
    own.addHandler(logging.StreamHandler())
    own.propagate = False
    logs.configure("info", "json", "billing", outcomes=False)
    for name in ("uvicorn.error", "aiokafka.consumer", "faststream", "asyncio"):
        logging.getLogger(name).error("of %s", name)
    warnings.warn("deprecated", stacklevel=1)
    sys.excepthook(ValueError, ValueError("nobody caught it"), None)
    written = lines(capsys)
    assert [line["logger"] for line in written[:4]] == ["uvicorn.error", "aiokafka.consumer", "faststream", "asyncio"]
    assert written[4]["logger"] == "py.warnings"
    assert "ValueError: nobody caught it" in str(written[5]["error"])


def test_one_line_says_why_a_process_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    """For people it is said as it is, in a log of JSON as a line of it."""
    logs.configure("info", "text", "billing", outcomes=False)
    logs.refuse("billing", ConfigurationError("set ADDONFLOW_X"))
    assert capsys.readouterr().err == "addonflow billing: set ADDONFLOW_X\n"
    logs.configure("info", "json", "billing", outcomes=False)
    logs.refuse("billing", ConfigurationError("set ADDONFLOW_X"))
    assert [line["message"] for line in lines(capsys)] == ["addonflow billing: set ADDONFLOW_X"]


@pytest.mark.parametrize(("asked", "written"), [(True, 1), (False, 0)])
def test_outcomes_are_a_setting_of_their_own(capsys: pytest.CaptureFixture[str], *, asked: bool, written: int) -> None:
    """Lines of each message come when they are asked for, whatever the level of the rest."""
    logs.configure("debug", "json", "billing", outcomes=asked)
    logs.OUTCOMES.info("handled", extra=fields(account="acme"))
    assert len(lines(capsys)) == written


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://ops:hunter2@cache:6379/0 is away", "redis://ops:***@cache:6379/0 is away"),
        ("rediss://:hunter2/with@cache/0", "rediss://:***@cache/0"),
        ("Authorization: Bearer abc.def-1==", "Authorization: Bearer ***"),
        ("token eyJhbGciOiJ.eyJzdWIiOiJ.c2ln expired", "token *** expired"),
        ("sasl password=hunter2, user=ops", "sasl password=***, user=ops"),
        ('{"secret": "hunter2", "user": "ops"}', '{"secret": "***", "user": "ops"}'),
        ("http://127.0.0.1:8080/readyz", "http://127.0.0.1:8080/readyz"),
        ("a secret of 32 bytes", "a secret of 32 bytes"),
    ],
)
def test_secrets_are_taken_out(text: str, shown: str) -> None:
    """Passwords in URLs, credentials and tokens are three stars; all else stays as it is."""
    assert redacted(text) == shown


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_part_of_a_line_shows_a_secret(capsys: pytest.CaptureFixture[str], form: logs.Format) -> None:
    """Message, fields and traceback go through the same sieve."""
    logs.configure("info", form, "billing", outcomes=False)
    error = ConnectionError("redis://ops:hunter2@cache:6379/0")
    extra = fields(cause="Bearer hunter2")
    logging.getLogger("addonflow").error("at redis://ops:hunter2@cache", exc_info=error, extra=extra)
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert written.count("***") == 3


@pytest.mark.parametrize("model", [MemberUpdated, CounterDocument, Counted])
def test_an_error_of_a_model_shows_no_input(model: type[BaseModel]) -> None:
    """What is stored or sent and cannot be read is told by its fields alone: a traceback holds nothing of a person."""
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"name": ["olga@example.com"], "count": "olga@example.com"})
    assert "olga" not in str(caught.value)
