"""A service's HTTP application: health, metrics and the service's own doors, with one form for every problem.

FastAPI is the outer application; FastStream's broker and everything else runs in its lifespan. The document of the API
is at /openapi.json; there is no page for it, because that would load code from elsewhere.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.telemetry import TelemetryConfig

from services.runtime import metrics, problems
from services.runtime.bodies import SCHEMAS
from services.runtime.door import Door
from services.runtime.gate import BodyGate
from services.runtime.health import Health
from services.runtime.settings import Settings
from services.runtime.watched import watched

VERSION = "1"
Doors = Callable[["Door[Any]"], APIRouter]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
_BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def make_application(
    title: str, doors: APIRouter | None, health: Health, settings: Settings, lifespan: Lifespan | None = None
) -> FastAPI:
    """Return the application of one service; `doors` are its operations."""
    application = FastAPI(
        title=f"addonflow {title}",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        lifespan=lifespan,
        telemetry=_NO_TELEMETRY,
    )
    problems.install(application)
    application.add_middleware(BodyGate, bytes_max=settings.request_bytes_max, seconds=settings.request_body_seconds)
    application.router.routes += watched(health, metrics.REGISTRY)
    if doors is not None:
        # Not included: that would be a router to be searched behind this one. Routes are tried in their order.
        application.router.routes[:0] = doors.routes
    application.openapi = lambda: _document(application)  # type: ignore[method-assign]
    return application


def _document(application: FastAPI) -> dict[str, Any]:
    if application.openapi_schema is None:
        document = get_openapi(title=application.title, version=application.version, routes=application.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for operations in document["paths"].values():
            for operation in operations.values():
                schemas |= operation.pop(SCHEMAS, {})
        schemas["ProblemDetails"] = problems.ProblemDetails.model_json_schema()
        document["components"]["securitySchemes"] = {"bearer": _BEARER}
        document["security"] = [{"bearer": []}]
        application.openapi_schema = document
    return application.openapi_schema
