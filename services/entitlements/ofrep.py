"""The doors for OpenFeature: its SDKs ask whether an add-on is on, by its remote evaluation protocol (OFREP 0.3).

POST /ofrep/v1/evaluate/flags/{key}    one flag: an add-on of the account
POST /ofrep/v1/evaluate/flags          all of them, with an ETag

A flag is boolean, its variant the access. A member's token says which account is asked about; products and staff name
it in the context, as `account_id`. Clients of this protocol read errors in its own form, so all that these operations
answer has it. What is refused before one is reached (405, 408, 413, 431) is a problem, as everywhere: clients go by its
status.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse

from contracts.catalog import Catalog
from contracts.payload import AccountId
from services.entitlements import checks
from services.entitlements.account import Entitlements
from services.entitlements.checking import look
from services.entitlements.checks import Entitlement
from services.runtime.authentication import Kind
from services.runtime.bodies import BODY_REFUSALS, SCHEMAS, require_json
from services.runtime.decision import Rejected
from services.runtime.direct import add_direct, answered
from services.runtime.door import Door, Seen
from services.runtime.problems import problem_of, responses

P = TypeVar("P", bound=BaseModel)
ErrorCode = Literal["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"]
_AS_FAILURE: Final[Mapping[int, tuple[int, ErrorCode]]] = MappingProxyType(
    {
        HTTPStatus.NOT_FOUND: (HTTPStatus.BAD_REQUEST, "INVALID_CONTEXT"),  # the account: here 404 is for a flag
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (HTTPStatus.BAD_REQUEST, "PARSE_ERROR"),
    }
)


class EvaluationContext(BaseModel):
    """Whom a flag is evaluated for; further attributes may be there, and decide nothing."""

    model_config = ConfigDict(strict=True)

    targeting_key: Annotated[str | None, Field(alias="targetingKey")] = None
    account_id: AccountId | None = None


class EvaluationRequest(BaseModel):
    """What clients send; SDKs leave the context out when their user gave none."""

    model_config = ConfigDict(strict=True)

    context: EvaluationContext = EvaluationContext()


class EvaluatedFlag(BaseModel):
    """Whether an add-on may be used; `metadata` is flat, as the protocol wants it."""

    key: str
    value: bool
    reason: Literal["TARGETING_MATCH"] = "TARGETING_MATCH"
    variant: str
    metadata: dict[str, str | int | bool]


class EvaluatedFlags(BaseModel):
    """Every add-on of an account."""

    flags: tuple[EvaluatedFlag, ...]


class EvaluationFailure(BaseModel):
    """Why a flag is not evaluated; `key` where one was asked for."""

    key: str | None = None
    errorCode: ErrorCode  # noqa: N815 - the protocol's name
    errorDetails: str  # noqa: N815 - the protocol's name


class FlagPath(BaseModel):
    """The path of a flag; a key that no add-on can have, with a slash in it too, is not found, like any other."""

    key: str


class NoPath(BaseModel):
    """The path of all flags."""


class _NotEvaluated(Exception):  # noqa: N818 - named for what it says
    def __init__(self, code: ErrorCode, details: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(details)
        self.code: ErrorCode = code
        self.status = status


def flag_doors(door: Door[Entitlements], catalog: Catalog) -> APIRouter:
    """Return the operations of the protocol."""
    failures = _failures(400, 401, 403, 429, 500, 503, "default") | responses(*BODY_REFUSALS)
    router = APIRouter(prefix="/ofrep/v1/evaluate/flags", responses=failures)

    async def flag(request: Request, path: FlagPath) -> Response:
        """Evaluate one flag: whether the account may use the add-on of this key."""
        seen = await _asked(door, request)
        found = checks.entitlement_of(seen.state, catalog, path.key, seen.version, await door.now())
        if isinstance(found, Rejected):
            raise _NotEvaluated("FLAG_NOT_FOUND", found.message, HTTPStatus.NOT_FOUND)
        return Response(_flag(found).model_dump_json(), media_type="application/json")

    async def flags(request: Request, _: NoPath) -> Response:
        """Evaluate every flag of the account."""
        seen = await _asked(door, request)
        shown = checks.entitlements_of(seen.state, catalog, seen.version, await door.now())
        found = EvaluatedFlags(flags=tuple(map(_flag, shown.entitlements)))
        return answered(request, found.model_dump_json().encode())

    add_direct(
        router,
        "POST",
        "/{key:path}",
        _in_its_form(flag),
        reads=FlagPath,
        response_model=EvaluatedFlag,
        responses=_failures(404),
        openapi_extra=_body(),
    )
    add_direct(
        router,
        "POST",
        "",
        _in_its_form(flags),
        reads=NoPath,
        response_model=EvaluatedFlags,
        conditional=True,
        openapi_extra=_body(),
    )
    return router


async def _asked(door: Door[Entitlements], request: Request) -> Seen[Entitlements]:
    who = await door.caller(request)
    context = await _context(request)
    account_id = who.account_id if who.kind is Kind.MEMBER and context.account_id is None else context.account_id
    if account_id is None:
        raise _NotEvaluated("INVALID_CONTEXT", "The context must name the account, as `account_id`.")
    return await look(door, who, account_id)


async def _context(request: Request) -> EvaluationContext:
    require_json(request)
    try:
        return EvaluationRequest.model_validate_json(await request.body()).context
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise _NotEvaluated("PARSE_ERROR", f"The body is no JSON: {first['msg']}.") from error
        where = ".".join(map(str, first["loc"])) or "the body"
        raise _NotEvaluated("INVALID_CONTEXT", f"{where}: {first['msg']}.") from error


def _flag(found: Entitlement) -> EvaluatedFlag:
    shown = {"since": found.since and found.since.isoformat(), "until": found.until and found.until.isoformat()}
    about = {"access": found.access.value, "version": found.version, "trial_days_left": found.trial_days_left, **shown}
    return EvaluatedFlag(
        key=found.add_on,
        value=found.entitled,
        variant=found.access,
        metadata={name: value for name, value in about.items() if value is not None},
    )


def _in_its_form(evaluate: Callable[[Request, P], Awaitable[Response]]) -> Callable[[Request, P], Awaitable[Response]]:
    async def evaluated(request: Request, path: P) -> Response:
        try:
            return await evaluate(request, path)
        except _NotEvaluated as error:
            return _failure(request, error.status, error.code, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, `problem_of` logs and words it
            problem = problem_of(error)
        status, code = _AS_FAILURE.get(problem.status, (problem.status, "GENERAL"))
        return _failure(request, status, code, problem.detail, problem.headers)

    evaluated.__name__, evaluated.__doc__ = evaluate.__name__, evaluate.__doc__
    return evaluated


def _failure(
    request: Request, status: int, code: ErrorCode, details: str, headers: Mapping[str, str] | None = None
) -> Response:
    failure = EvaluationFailure(key=request.path_params.get("key"), errorCode=code, errorDetails=details)
    return JSONResponse(failure.model_dump(exclude_none=True), status, headers)


def _failures(*statuses: int | Literal["default"]) -> dict[int | str, dict[str, Any]]:
    return {
        status: {
            "description": "Not evaluated" if status == "default" else HTTPStatus(status).phrase,
            "model": EvaluationFailure,
        }
        for status in statuses
    }


def _body() -> dict[str, Any]:
    schema = EvaluationRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = schema.pop("$defs", {})
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}, SCHEMAS: schemas}
