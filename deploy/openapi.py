"""Write the OpenAPI documents: `python -m deploy.openapi`.

The services' applications are built and asked for their own documents, which are what they serve at /openapi.json.
Nothing is connected.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from contracts.schemas import as_text, write_changed
from services.runtime.settings import Settings

DIRECTORY: Final = Path(__file__).parents[1] / "contracts" / "openapi"
SERVICES: Final = ("entitlements", "billing", "notifications")
"""The services that have doors of their own."""


def document_of(service: str) -> dict[str, Any]:
    """Return the OpenAPI document of a service's application."""
    app = importlib.import_module(f"services.{service}.app")
    document: dict[str, Any] = app.build(Settings(namespace="")).application().openapi()
    return document


def golden_files() -> Iterator[tuple[Path, str]]:
    """Yield the path and the exact text of every document."""
    for service in SERVICES:
        yield DIRECTORY / f"{service}.json", as_text(document_of(service))


def main() -> int:
    """Bring the committed documents to what the applications say, and name every file that changed."""
    DIRECTORY.mkdir(exist_ok=True)
    for name in write_changed(golden_files()):
        sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
