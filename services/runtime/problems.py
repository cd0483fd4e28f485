"""What a door answers when it does not do what was asked: `application/problem+json` (RFC 9457), and nothing else.

`reason` is for machines and closed (`HttpReason`, and `contracts.results.Reason` for what a rule refuses), `detail` is
one sentence for people. Nothing of a token, a body or a stack ever stands in one.
"""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from contracts.results import Reason
from services.runtime.errors import TROUBLE, ConfigurationError, ConflictsExhausted, Crowded, Stopping

log = logging.getLogger("addonflow.http")
MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:addonflow:problem:"
_RETRY_SECONDS = "1"
_ERRORS_MAX = 20
_MESSAGE_CHARACTERS_MAX = 300
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UNNAMED = "(a field)"  # whose name is none of ours, nor one that somebody misspelt
_FOR_THE_MOMENT = (*TROUBLE, ConfigurationError, ConflictsExhausted, Crowded)


class HttpReason(StrEnum):
    """Why a door answered without asking a rule."""

    TOKEN_MISSING = "token_missing"
    TOKEN_INVALID = "token_invalid"
    KEYS_UNAVAILABLE = "keys_unavailable"
    NOT_PERMITTED = "not_permitted"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    NOT_ACCEPTABLE = "not_acceptable"
    REQUEST_INVALID = "request_invalid"
    REQUEST_TIMEOUT = "request_timeout"
    BODY_TOO_LARGE = "body_too_large"
    HEAD_TOO_LARGE = "head_too_large"
    MEDIA_TYPE_UNSUPPORTED = "media_type_unsupported"
    TOO_MANY_REQUESTS = "too_many_requests"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


_BY_STATUS = {
    HTTPStatus.NOT_FOUND: HttpReason.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: HttpReason.METHOD_NOT_ALLOWED,
}


class ProblemDetails(BaseModel):
    """The body of every answer that is not what was asked for; more members may follow, named by the operation."""

    model_config = ConfigDict(extra="allow")

    type: Annotated[str, Field(description="urn:addonflow:problem:<reason>")]
    title: Annotated[str, Field(description="the status in words")]
    status: int
    detail: Annotated[str, Field(description="one sentence for people")]
    reason: Annotated[str, Field(description="a code for machines")]


class Problem(Exception):  # noqa: N818 - the RFC's name
    """Ends a request with a problem; `members` are further members of the body."""

    def __init__(
        self, status: int, reason: str, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(f"{status} {reason}: {detail}")
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers
        self.members = members

    def response(self) -> Response:
        """Return the answer; whatever text is in it, it is ASCII on the wire."""
        body = {
            "type": f"{_TYPE}{self.reason}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "reason": str(self.reason),
        }
        text = json.dumps(body | self.members)  # escapes lone surrogates, which a sender's field names may have
        return Response(text, self.status, self.headers, MEDIA_TYPE)


def unavailable(detail: str = "This cannot be done at the moment: try again with the same request.") -> Problem:
    """Return the answer while Kafka, Redis or the process itself cannot serve; the same request may be sent again."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE, HttpReason.UNAVAILABLE, detail, headers={"Retry-After": _RETRY_SECONDS}
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe problems for an operation's OpenAPI; the application adds the schema."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def install(application: FastAPI) -> None:
    """Have every error of the application answered as a problem."""

    async def answer(_: Request, error: Exception) -> Response:
        return problem_of(error).response()

    for kind in (
        Problem,
        HTTPException,
        RequestValidationError,
        *_FOR_THE_MOMENT,
        Stopping,
        ClientDisconnect,
        Exception,
    ):
        application.add_exception_handler(kind, answer)


def problem_of(error: Exception) -> Problem:
    """Return the answer to whatever ended a request; trouble and defects are logged."""
    match error:
        case Problem():
            return error
        case HTTPException():
            status = HTTPStatus(error.status_code)
            reason = _BY_STATUS.get(status, HttpReason.REQUEST_INVALID)
            return Problem(status, reason, f"{status.description or status.phrase}.", headers=error.headers)
        case RequestValidationError():
            return invalid(error.errors())
        case Stopping() | ClientDisconnect():  # nobody is there to read of it
            return unavailable()
        case _ if isinstance(error, _FOR_THE_MOMENT):
            log.warning("a request met trouble: %s: %s", type(error).__name__, error)
            return unavailable()
    log.error("a request met a defect", exc_info=error)
    detail = "This is a defect of addonflow: its log says more."
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, HttpReason.INTERNAL, detail)


def invalid(errors: Sequence[Any]) -> Problem:
    """Return the answer to a request that is not as the API describes it: where, and what it should be.

    Of what was sent at most a field's name is said again, so the answer is of bounded size.
    """
    found = [{"where": _where(error["loc"]), "message": _message(error)} for error in errors[:_ERRORS_MAX]]
    detail = f"{found[0]['where']}: {found[0]['message']}"
    unreadable = errors[0]["type"] == "json_invalid" or errors[0]["loc"][:1] == ("header",)
    status = HTTPStatus.BAD_REQUEST if unreadable else HTTPStatus.UNPROCESSABLE_ENTITY
    return Problem(status, HttpReason.REQUEST_INVALID, detail, errors=found)


def _where(place: Sequence[Any]) -> str:
    return ".".join(str(part) if _NAME.fullmatch(str(part)) else _UNNAMED for part in place)


def _message(error: Any) -> str:
    if error["type"] == "union_tag_invalid":  # whose sentence repeats the tag
        return f"Input should be one of {error['ctx']['expected_tags']}"
    return str(error["msg"])[:_MESSAGE_CHARACTERS_MAX]


_STATUS_OF: Mapping[Reason, int] = {
    **dict.fromkeys((Reason.ACCOUNT_UNKNOWN, Reason.ADD_ON_UNKNOWN, Reason.SUBSCRIPTION_UNKNOWN), HTTPStatus.NOT_FOUND),
    Reason.INVOICE_UNKNOWN: HTTPStatus.NOT_FOUND,
    **dict.fromkeys((Reason.MEMBER_UNKNOWN, Reason.ROLE_NOT_PERMITTED), HTTPStatus.FORBIDDEN),
    Reason.PAYMENT_METHOD_REQUIRED: HTTPStatus.PAYMENT_REQUIRED,
    Reason.PROMISE_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
}
REFUSALS = tuple(sorted({HTTPStatus.CONFLICT, *_STATUS_OF.values()}))
"""The statuses of what a rule refuses: 404 unknown, 403 not permitted, 402 payment, 422 promise, 409 all else."""


def refused(reason: Reason, message: str, **members: Any) -> Problem:
    """Return the answer to what a rule refuses: its reason code and its sentence."""
    return Problem(_STATUS_OF.get(reason, HTTPStatus.CONFLICT), reason, message, **members)
