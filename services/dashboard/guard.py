"""What every request passes and every answer carries: our own hosts, our own forms, and no code from elsewhere.

A pure ASGI layer, so that streams pass it as they are.
"""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}
_WATCHED = frozenset({"/livez", "/readyz", "/metrics"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN = frozenset({"same-origin", "none"})


class Guard:
    """Refuses other hosts (421) and other sites' forms (403); says to every browser what a page may load."""

    def __init__(self, application: ASGIApp, hosts: frozenset[str]) -> None:
        self._application = application
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] != "http" or scope["path"] in _WATCHED:
            await self._application(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, text in _HEADERS.items():
                    headers.setdefault(name, text)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (refusal or self._application)(scope, receive, with_headers)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if _host_of(host) not in self._hosts:
            said = "This address is not the dashboard's: ADDONFLOW_DASHBOARD_PUBLIC_URL says what is."
            return PlainTextResponse(said, HTTPStatus.MISDIRECTED_REQUEST)
        if method in _READING or _is_own(headers, host):
            return None
        return PlainTextResponse("This form was sent by another site, and had no effect.", HTTPStatus.FORBIDDEN)


def _host_of(authority: str) -> str | None:
    """Return the host of what a browser says it asks, without a port; None where that is none."""
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None


def _is_own(headers: Headers, host: str) -> bool:
    """Whether a form comes from our own pages; browsers say so, and an old one that does not has the form's token."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in _OWN
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == host
