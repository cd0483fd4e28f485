"""Write the page of every setting: `python -m deploy.settings`.

Name, default, what it takes and what it does come from the settings classes, where they are checked.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from contracts.catalog import DEFAULT_CATALOG
from contracts.schemas import write_changed
from services.dashboard.settings import DashboardSettings
from services.runtime.settings import Settings

PAGE: Final = Path(__file__).with_suffix(".md")
_HEAD: Final = """# Every setting

Environment variables; a value that cannot be used stops the start with one line that says what to set. This page is
written by `make schemas` from [services/runtime/settings.py](../services/runtime/settings.py) and
[services/dashboard/settings.py](../services/dashboard/settings.py).
"""
_UNITS: Final = {
    "_ms": "milliseconds",
    "_ms_max": "milliseconds",
    "_seconds": "seconds",
    "_seconds_max": "seconds",
    "_hours": "hours",
    "_days": "days",
    "_bytes_max": "bytes",
    "_per_minute": "a minute",
}


def rows(settings: type[BaseSettings]) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, default, what it takes, and what it does, of each setting."""
    prefix = settings.model_config["env_prefix"]
    for name, field in settings.model_fields.items():
        yield prefix + name.upper(), _default(field), _takes(name, field), field.description or ""


def page() -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, settings in (("All processes", Settings), ("The dashboard, beside these", DashboardSettings)):
        parts += [f"\n## {title}\n\n", "| variable | default | takes | effect |\n|---|---|---|---|\n"]
        parts += [f"| `{name}` | {default} | {takes} | {effect} |\n" for name, default, takes, effect in rows(settings)]
    return "".join(parts)


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "must be set"
    if value is None or value == "":
        return "none"
    if value == DEFAULT_CATALOG:
        return "the package's"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _takes(name: str, field: FieldInfo) -> str:
    kinds = [each for each in get_args(field.annotation) if each is not type(None)] or [field.annotation]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{each}`" for each in get_args(field.annotation))
    if bool in kinds:
        return "`true`, `false`"
    if int in kinds:
        unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")
        return f"{_bounds(field)} {unit}".strip()
    return "path" if Path in kinds else "text"


def _bounds(field: FieldInfo) -> str:
    said: dict[str, Any] = {}
    for each in field.metadata:
        said |= {bound: getattr(each, bound) for bound in ("ge", "le") if getattr(each, bound, None) is not None}
    if "le" in said:
        return f"{said['ge']:,} to {said['le']:,}"
    return f"{said['ge']:,} or more" if "ge" in said else "number"


def main() -> int:
    """Bring the committed page to what the classes say, and name it if it changed."""
    for name in write_changed([(PAGE, page())]):
        sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
