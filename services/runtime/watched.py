"""What probes and Prometheus ask of a process: `/livez`, `/readyz` and `/metrics`."""

from http import HTTPStatus

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from services.runtime.health import Health


def watched(health: Health, registry: CollectorRegistry) -> list[Route]:
    """Return the routes that say how a process is, with the figures of a registry."""

    async def livez(_: Request) -> PlainTextResponse:
        return _verdict(health.alive())

    async def readyz(_: Request) -> PlainTextResponse:
        return _verdict(health.ready())

    async def scrape(_: Request) -> PlainTextResponse:
        health.ready()  # sets its gauge, where no probe asks
        return PlainTextResponse(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    return [Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", scrape)]


def _verdict(problem: str | None) -> PlainTextResponse:
    return PlainTextResponse(problem or "ok", status_code=HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK)
