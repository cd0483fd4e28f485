"""The bodies of requests that carry a command: the command's own fields, without what the token and the path say.

They are read like records from Kafka: strictly, as JSON, so that what one door takes the other takes too. A field that
is not there is refused (a misspelt one would be lost without a word), which records, read by older readers, must bear.
"""

from http import HTTPStatus
from typing import Annotated, Any, Literal, Union

from fastapi import Header, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model

from contracts.payload import Payload
from services.runtime.decision import TIMER
from services.runtime.problems import HttpReason, Problem, invalid

SCHEMAS = "x-schemas"
"""Where an operation's description keeps the schemas of its body until the document collects them."""
BODY_REFUSALS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
"""The statuses of what `gate.py` refuses: 408 a body that does not come, 413 one that is too large."""
COMMAND_REFUSALS = (HTTPStatus.BAD_REQUEST, *BODY_REFUSALS, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
"""The statuses of what a command's body may be refused with, beside 422."""
_MEDIA_TYPE = "application/json"


def _not_reserved(key: str) -> str:
    if key.startswith(TIMER):
        raise ValueError(f"keys that begin with {TIMER!r} are ours: choose another")
    return key


IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,128}$",
        description="The command's id: the same key and request have one effect and one answer, however often sent. "
        f"None begins with `{TIMER}`.",
    ),
    AfterValidator(_not_reserved),
]


class CommandBody:
    """Reads one of several commands: `{"type": "PurchaseAddOn", ...}`."""

    def __init__(self, *commands: type[Payload], said: frozenset[str]) -> None:
        """Take commands; `said` are the fields that the caller does not state."""
        self._commands = {command.__name__: command for command in commands}
        self._said = said
        bodies: Any = Union[tuple(self._body_of(command) for command in commands)]  # noqa: UP007 - made at run time
        one_of_many: Any = Annotated[bodies, Field(discriminator="type")]
        self._adapter: TypeAdapter[Any] = TypeAdapter(one_of_many if len(commands) > 1 else bodies)

    def _body_of(self, command: type[Payload]) -> type[BaseModel]:
        fields: dict[str, Any] = {
            name: (field.annotation, field) for name, field in command.model_fields.items() if name not in self._said
        }
        name: Any = command.__name__
        fields["type"] = (Literal[name], ...)
        config = ConfigDict(extra="forbid", frozen=True)
        return create_model(f"{name}Body", __config__=config, __doc__=command.__doc__, **fields)

    async def read(self, request: Request, **said: str) -> Payload:
        """Return the command of a request, with what the token and the path say. Problem 400, 415 or 422."""
        require_json(request)
        try:
            body = self._adapter.validate_json(await request.body(), strict=True)
        except ValidationError as error:
            raise invalid(error.errors(include_url=False, include_input=False)) from error
        return self._commands[body.type].model_validate({**body.__dict__, **said})

    def described(self) -> dict[str, Any]:
        """Describe the body for an operation's OpenAPI (`openapi_extra`)."""
        schema = self._adapter.json_schema(ref_template="#/components/schemas/{model}")
        schemas = schema.pop("$defs", {})
        return {"requestBody": {"required": True, "content": {_MEDIA_TYPE: {"schema": schema}}}, SCHEMAS: schemas}


def require_json(request: Request) -> None:
    """Refuse (415) a body that is not said to be JSON."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _MEDIA_TYPE:
        detail = f"The body must be {_MEDIA_TYPE}: say so in Content-Type."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HttpReason.MEDIA_TYPE_UNSUPPORTED, detail)
