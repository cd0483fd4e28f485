"""The dashboard's templates and files: nothing unescaped, nothing inline, nothing from elsewhere, nothing unknown."""

import hashlib
import re
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, project_files, text

DASHBOARD = Path("services/dashboard")
TEMPLATES = sorted(path for path in project_files() if path.parent == DASHBOARD / "templates")
_WRITTEN = (
    r"(?<!field)(?<!session)\.name\b|account_name|account_id|\bnote\"|\.note\b"
    r"|\.who\b|\.about\b|fields\[|description|_number\b"
)
VENDORED = {
    "htmx-4.0.1.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "htmx-sse-4.0.1.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_leaves_the_escaping(path: Path) -> None:
    """No template marks text as safe, and every attribute stands in quotes: what people write stays text."""
    page = text(path)
    assert not re.search(r"\|\s*safe\b|Markup|autoescape\s+false", page)
    assert not re.search(r"\s[\w:-]+=\s*\{\{", page)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_nothing_is_inline_or_from_elsewhere(path: Path) -> None:
    """No template has a script, a style or a handler in it, or an address of another host: the policy forbids them."""
    page = text(path)
    assert not re.search(r"<script(?![^>]*\bsrc=\"/static/)|<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", page)
    assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_what_people_write_keeps_its_own_direction(path: Path) -> None:
    """A name, a note or an id stands in an element of its own direction: a Hebrew one moves nothing around it."""
    page = re.sub(r"{% block title %}.*?{% endblock %}|{%.*?%}|{#.*?#}", "", text(path), flags=re.DOTALL)
    shown = re.sub(r"<(?!bdi>)(?:[^<>{}]|{{.*?}})*>", lambda tag: "@" if 'dir="auto"' in tag[0] else "<>", page)
    written = re.finditer(rf"{{{{ (?!\w+\()[^{{}}]*(?:{_WRITTEN})[^{{}}]*}}}}", shown)
    loose = [each[0] for each in written if not shown[: each.start()].endswith(("<bdi>", "@"))]
    assert [each for each in loose if "| isolated" not in each] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_posts_carries_the_sessions_secret(path: Path) -> None:
    """A form without it would be refused."""
    for form in re.findall(r"<form method=\"post\".*?</form>", text(path), re.DOTALL):
        assert "csrf=csrf" in form


@pytest.mark.parametrize("name", VENDORED)
def test_vendored_code_is_as_it_was_published(name: str) -> None:
    """A vendored file is the one that its project published, to the byte, and its license lies beside it."""
    file = ROOT / DASHBOARD / "static" / name
    assert hashlib.sha256(file.read_bytes()).hexdigest() == VENDORED[name]
    assert (file.parent / "htmx.LICENSE").exists()
    assert (file.parent / "inter.LICENSE").exists()
