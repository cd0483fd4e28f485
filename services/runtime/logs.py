"""How a process writes its log: one line an event, as text for people or as JSON for machines, without secrets.

Everything goes this way: our own lines, and those of uvicorn, aiokafka and the rest, because they all end in the root
logger. A line may carry fields (`extra=fields(account=…)`): members of the JSON object, `name=value` behind a text.
No field and no sentence of ours holds what a person is called, writes or can be reached by; `redacted` takes out what
looks like a secret, wherever it comes from.
"""

import json
import logging
import re
import sys
import time
from types import TracebackType
from typing import Any, Literal

OUTCOMES = logging.getLogger("addonflow.outcomes")
"""One line for each message handled, at INFO: it is off unless ADDONFLOW_LOG_OUTCOMES says otherwise."""
Format = Literal["text", "json"]
_QUIET = ("aiokafka", "httpx", "httpcore", "opentelemetry")  # they say at INFO and DEBUG what we say better
_SECRETS = re.compile(
    r"(?P<url>\w://[^\s:/@]*:)[^\s@]+(?=@)"
    r"|(?P<scheme>\b(?:Bearer|Basic)\s+)[\w.~+/=-]+"
    r"|(?P<name>(?:password|passwd|secret|token|api_key)[\"']?\s*[=:]\s*[\"']?)(?!\s)[^\s,;\"'&]+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*",  # a JSON Web Token
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Return the text with passwords of URLs, credentials and tokens replaced by ***. Cost: 1 to 3 µs a line."""
    return _SECRETS.sub(lambda found: f"{found['url'] or found['scheme'] or found['name'] or ''}***", text)


def fields(**named: str | int | None) -> dict[str, dict[str, str | int]]:
    """Return fields of a line as the argument `extra`; those that are None are left out."""
    return {"fields": {name: value for name, value in named.items() if value is not None}}


class _Formatter(logging.Formatter):
    """What both forms have in common: fields, and errors as redacted text."""

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        named: dict[str, Any] = getattr(record, "fields", {})
        return {name: redacted(value) if isinstance(value, str) else value for name, value in named.items()}

    def _error(self, record: logging.LogRecord) -> str:
        return redacted(self.formatException(record.exc_info)) if record.exc_info and record.exc_info[0] else ""


class TextFormatter(_Formatter):
    """Time, level, logger, message, then `name=value` for each field; a traceback on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = f"{self.formatTime(record)} {record.levelname} {record.name} {redacted(record.getMessage())}"
        line = " ".join([line, *(f"{name}={value}" for name, value in self._fields(record).items())])
        return "\n".join(filter(None, (line, self._error(record))))


class JsonFormatter(_Formatter):
    """One JSON object on one line: time (RFC 3339, UTC), level, service, logger, message, error, then the fields."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{second}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        error = self._error(record)
        if error:
            line["error"] = error
        return json.dumps(line | self._fields(record), ensure_ascii=False)


def configure(level: str, form: Format, service: str, *, outcomes: bool) -> None:
    """Have the whole process write its log to standard error, from `level` up."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(service) if form == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):  # whatever form a library has brought, or shut up
            logger.handlers.clear()
            logger.propagate, logger.disabled = True, False
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    OUTCOMES.setLevel(logging.INFO if outcomes else logging.WARNING)
    sys.excepthook = _unhandled


def refuse(service: str, error: Exception) -> None:
    """Say in one line why a process does not start: for people as it is, in a log of JSON as a line of it."""
    line = f"addonflow {service}: {error}".replace("addonflow : ", "addonflow: ")
    handlers = logging.getLogger().handlers
    if any(isinstance(handler.formatter, JsonFormatter) for handler in handlers):
        logging.getLogger("addonflow").critical("%s", line)
    else:
        print(redacted(line), file=sys.stderr, flush=True)  # noqa: T201 - one line for people


def _unhandled(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("addonflow").critical("ended by an error", exc_info=(kind, error, trace))
