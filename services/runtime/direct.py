"""Operations on a hot path: the same door, problems and document as any other, without the work between.

FastAPI resolves dependencies on every request, which costs more than a look into Redis does. A direct operation is
handed the request and its path, read by a model; the same model describes it in the document. Everything else it does
itself: ask the door who calls, and answer with bytes.
"""

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.routing import request_response

from services.runtime.problems import invalid

P = TypeVar("P", bound=BaseModel)
_MEDIA_TYPE = "application/json"
_CACHED = {"Cache-Control": "private, no-cache"}  # keep it, and ask whether it still holds
_IF_NONE_MATCH = Header(description="The ETag of what the caller has: 304, without a body, while it still holds.")


class DirectRoute(APIRoute):
    """A route whose endpoint takes the request itself: nothing stands between it and the router."""

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]], **described: Any) -> None:
        super().__init__(path, endpoint, **described)
        self.app = request_response(endpoint)


def add_direct(
    router: APIRouter,
    method: str,
    path: str,
    endpoint: Callable[[Request, P], Awaitable[Response]],
    *,
    reads: type[P],
    conditional: bool = False,
    **described: Any,
) -> None:
    """Add an operation; `reads` has a field for each part of the path, and `described` is what FastAPI calls so.

    `conditional`: it answers by `answered`, so that who has the answer already is told that it holds.
    """

    async def handle(request: Request) -> Response:
        try:
            parts = reads.model_validate(request.path_params)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            raise invalid([each | {"loc": ("path", *each["loc"])} for each in found]) from error
        return await endpoint(request, parts)

    handle.__name__ = getattr(endpoint, "__name__", path)
    handle.__doc__ = endpoint.__doc__
    responses = described.pop("responses", {})
    if conditional:
        responses |= {304: {"description": HTTPStatus.NOT_MODIFIED.phrase}}
    router.add_api_route(
        path,
        handle,
        methods=[method],
        dependencies=[Depends(_parameters(reads, conditional=conditional))],
        responses=responses,
        route_class_override=DirectRoute,
        **described,
    )


def _parameters(reads: type[BaseModel], *, conditional: bool) -> Callable[[], None]:
    """Return a function that takes what an operation reads, for the document alone."""
    kinds: dict[str, Any] = {
        name: Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        for name, field in reads.model_fields.items()
    }
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in kinds.items()
    ]
    if conditional:
        kind = Annotated[str | None, _IF_NONE_MATCH]
        parameters.append(
            inspect.Parameter("if_none_match", inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=None)
        )

    def described() -> None:
        """Take nothing: this is never called."""

    described.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return described


def tag_of(text: bytes) -> str:
    """Return a short text that differs whenever `text` does."""
    return hashlib.blake2b(text, digest_size=12).hexdigest()


def answered(request: Request, body: bytes) -> Response:
    """Answer with JSON and its ETag, or 304 when the caller has these very bytes."""
    tag = f'"{tag_of(body)}"'
    headers = {"ETag": tag, **_CACHED}
    held = request.headers.get("if-none-match")
    if held is not None and _matches(held, tag):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    return Response(body, HTTPStatus.OK, headers, _MEDIA_TYPE)


def _matches(held: str, tag: str) -> bool:
    """Whether If-None-Match names the tag; a proxy may have made it weak, and what is no tag matches nothing."""
    return held.strip() == "*" or any(each.strip().removeprefix("W/") == tag for each in held.split(","))
