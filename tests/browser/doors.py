"""Stands for doors of services that this release lacks: their shapes, with figures of an example.

Used only until the services answer themselves (`conftest.py` looks); names and notes in it hold HTML.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

HOSTILE_NAME = "<img src=x onerror=alert(1)>"
HOSTILE_NOTE = "</blockquote><script>document.title='taken'</script> & \"quoted\""
_MONEY = {"currency": "USD"}
_LINE = {
    "subscription_id": "s-1",
    "add_on": "analytics_plus",
    "description": "Analytics+",
    "period": {"from": "2026-09-30", "to": "2026-10-20"},
    "quantity": {"standard": 5, "additional": 2},
    "unit_price": _MONEY | {"amount_minor": 1795},
    "days": {"billed": 20, "in_cycle": 30},
    "share": {"numerator": 20, "denominator": 30},
    "price_version": "2026-01",
    "rule": "day",
    "timezone": "UTC",
    "amount": _MONEY | {"amount_minor": 8377},
}
_HEAD = {
    "invoice_number": "example-000001",
    "kind": "immediate",
    "issued_at": "2026-09-30T10:00:00Z",
    "due_date": "2026-09-30",
    "currency": "USD",
    "total": _MONEY | {"amount_minor": 8377},
}
_PREVIEW = {
    "add_on": "analytics_plus",
    "as_of": "2026-09-30T10:00:00Z",
    "licenses": {"standard": 5, "additional": 2},
    "unit_price": _MONEY | {"amount_minor": 1795},
    "price_version": "2026-01",
    "frequency": "monthly",
    "today": {name: _LINE[name] for name in ("amount", "period", "days", "share", "rule")},
    "next_bill": {
        "date": "2026-10-20",
        "amount": _MONEY | {"amount_minor": 12565},
        "total": _MONEY | {"amount_minor": 12565},
    },
}
_REQUESTS = {
    "cadence": "daily",
    "feature_requests": [
        {
            "add_on": "analytics_plus",
            "name": "Analytics+",
            "people": 2,
            "requests": 3,
            "roles": {"supervisor": 1, "admin": 1},
            "first_at": "2026-09-20T10:00:00Z",
            "last_at": "2026-09-29T10:00:00Z",
            "newest": [
                {
                    "user_id": "sam",
                    "name": HOSTILE_NAME,
                    "role": "supervisor",
                    "requested_at": "2026-09-29T10:00:00Z",
                    "note": HOSTILE_NOTE,
                },
                {"user_id": "adam", "name": "Adam", "role": "admin", "requested_at": "2026-09-20T10:00:00Z"},
            ],
            "trend": [{"day": f"2026-09-{day:02}", "requests": day % 4} for day in range(10, 30)],
        }
    ],
}
_PDF = b"%PDF-1.4\n%%EOF\n"


class _Doors(BaseHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer by the end of the path."""
        account_id, _, rest = self.path.removeprefix("/v1/accounts/").partition("/")
        path = rest.partition("?")[0]
        bodies: dict[str, Any] = {
            "invoices": {"account_id": account_id, "invoices": [_HEAD]},
            "invoices/example-000001": {**_HEAD, "account_id": account_id, "lines": [_LINE]},
            "upcoming-bill": {
                "date": "2026-10-20",
                "currency": "USD",
                "lines": [{name: _LINE[name] for name in ("add_on", "description", "amount")}],
                "total": _MONEY | {"amount_minor": 12565},
            },
            "feature-requests": {"account_id": account_id, **_REQUESTS},
        }
        if path == "invoices/example-000001/document.pdf":
            self._send(200, _PDF, "application/pdf")
        elif path in bodies:
            self._send(200, json.dumps(bodies[path]).encode(), "application/json")
        else:
            self._send(404, b'{"reason": "not_found"}', "application/problem+json")

    def do_POST(self) -> None:
        """Answer with the preview of the example."""
        account_id = self.path.split("/")[3]
        self.rfile.read(int(self.headers.get("content-length", "0")))
        self._send(200, json.dumps({"account_id": account_id, **_PREVIEW}).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def stand_in() -> Iterator[str]:
    """Serve the example until the block ends; give its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Doors)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
