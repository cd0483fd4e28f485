"""Write the AsyncAPI documents: `python -m deploy.asyncapi`.

`contracts.asyncapi` makes them; here the services' applications are built, which contracts may not know, and asked by
FastStream's own generator what they subscribe to. Nothing is connected.
"""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from faststream.specification import AsyncAPI

from contracts.asyncapi import CONTRACT_VERSION, DIRECTORY, SYSTEM, service_document, system_document
from contracts.schemas import as_text, write_changed
from contracts.topics import READERS
from services.runtime.settings import Settings


def app_document(service: str) -> dict[str, Any]:
    """Return the AsyncAPI document of a service's application as FastStream makes it."""
    app = importlib.import_module(f"services.{service}.app")
    broker = app.build(Settings(namespace="")).broker
    specification = AsyncAPI(
        broker, title=f"{SYSTEM} {service}", version=CONTRACT_VERSION, description=app.__doc__, schema_version="3.0.0"
    )
    document: dict[str, Any] = specification.to_specification().to_jsonable()
    return document


def golden_files() -> Iterator[tuple[Path, str]]:
    """Yield the path and the exact text of every document: the system's and one a service."""
    yield DIRECTORY / f"{SYSTEM}.json", as_text(system_document())
    for service in READERS:
        yield DIRECTORY / f"{service}.json", as_text(service_document(service, app_document(service)))


def main() -> int:
    """Bring the committed documents to what registry and applications say, and name every file that changed."""
    for name in write_changed(golden_files()):
        sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
