"""Entitlements behind its doors, for tests that ask it."""

import itertools
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.entitlements.scenario import account, member
from tests.entitlements.serving import Served, serving

_numbers = itertools.count()


@pytest.fixture
def own_namespace() -> str:
    """Give a prefix of keys that no other test has."""
    return f"c{os.getpid()}-{next(_numbers)}."


@pytest.fixture
async def served(embedded_valkey_url: str, own_namespace: str, tmp_path: Path) -> AsyncIterator[Served]:
    """Give entitlements with the account acme and one member of each role, whose ids are their roles."""
    async with serving(embedded_valkey_url, own_namespace, tmp_path) as running:
        await running.tell(account(), *(member(role) for role in ("owner", "admin", "supervisor", "agent")))
        yield running
