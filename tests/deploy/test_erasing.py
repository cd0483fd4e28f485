"""What is kept of a member is found wherever it is, and named without being said."""

import asyncio
from io import StringIO

import pytest
from redis.asyncio import Redis
from rich.console import Console
from typer.testing import CliRunner

from contracts.topics import BACKOFFICE
from deploy.addonflow.account_state import UNREADABLE, ServiceState
from deploy.addonflow.erasing import Held, Keeping, forgotten, keeping_of
from deploy.addonflow.main import app
from deploy.addonflow.topics import create
from services.runtime.keys import ShardKeys, shard_of
from services.runtime.settings import Settings
from tests.runtime import logs as written

SAM = {"user_id": "sam", "role": "supervisor", "name": "Sam"}


def state(service: str, document: object, **rows: object) -> ServiceState:
    """Return what a service keeps of an account; `rows` by name, with `__` for a colon."""
    kept = ServiceState(service, version=1, document=document)
    for name, row in rows.items():
        kept.rows[name.partition("__")[0]][name.replace("__", ":")] = row
    return kept


def test_what_is_kept_is_found_in_every_document_and_row() -> None:
    """Fields are counted by service and kind of row; those of others, and what says nothing of them, are not."""
    entitlements = state(
        "entitlements",
        {"add_ons": {"a": {"trial": {"started_by": SAM}}, "b": {"quote": {"requested_by": SAM | {"user_id": "olga"}}}}},
        member__sam={"revision": 2, "role": "supervisor", "status": "removed", "name": "Sam", "email": "sam@acme"},
        member__olga={"revision": 1, "role": "owner", "status": "active", "name": "Olga"},
        request__a__sam={"requested_at": "2026-09-30T15:04:05Z", "round": 0},
    )
    notifications = state(
        "notifications",
        None,
        asked__a__sam={"request": SAM | {"note": "mine"}},
        asked__b__sam={"request": SAM},
        said__1={"user_ids": ["sam"], "data": {"requested_by": SAM, "note": "mine"}},
        said__2={UNREADABLE: "{"},
    )
    billing = state("billing", {}, member__sam={"revision": 2, "role": "supervisor", "active": False})

    kept = keeping_of({each.service: each for each in (entitlements, billing, notifications)}, "sam")

    assert kept == Keeping(
        True,
        None,
        (
            Held("entitlements", "document", 1, ("name",)),
            Held("entitlements", "member", 1, ("email", "name")),
            Held("notifications", "asked", 2, ("name", "note")),
            Held("notifications", "said", 1, ("name", "note")),
        ),
    )
    shown = StringIO()
    kept.print(Console(file=shown))
    assert "Sam" not in shown.getvalue()
    assert "2 × asked: name, note" in shown.getvalue()


def test_who_is_erased_and_whom_nobody_knows_are_told_apart() -> None:
    """A tombstone says when; whom no service knows is said to be unknown."""
    row = {"revision": 2, "role": "supervisor", "active": False, "erased_at": "2026-09-30T15:04:05Z"}
    for erased, line in (({"member__sam": row}, "erased on 2026-09-30"), ({}, "no service knows of them")):
        shown = StringIO()
        keeping_of({"billing": state("billing", {}, **erased)}, "sam").print(Console(file=shown))
        assert shown.getvalue().splitlines() == [line, "nothing is kept that says who they are"]


@pytest.mark.embedded
async def test_what_is_not_forgotten_in_time_is_returned(settings: Settings, redis_url: str) -> None:
    """It is waited for as long as is said; what a service keeps then is named."""
    key = ShardKeys(settings.namespace, "billing", shard_of("acme", settings.partitions)).account("acme")
    async with Redis.from_url(redis_url) as redis:
        await redis.hset(key, mapping={"version": 1, "document": "{}", "row:member:sam": '{"name": "Sam"}'})
        kept = await forgotten(redis, settings, "acme", "sam", 0.3)
        await redis.delete(key)
        nothing = await forgotten(redis, settings, "acme", "sam", 0.3)
    assert kept.held == (Held("billing", "member", 1, ("name",)),)
    assert nothing == Keeping(known=False, erased_at=None, held=())


@pytest.mark.embedded
async def test_without_an_answer_the_order_is_sent_and_the_status_is_2(settings: Settings, redis_url: str) -> None:
    """Services that are down decide it later; a dry run sends nothing, and is 1 where nobody knows the member."""
    await create(settings, replication_factor=1, wait_seconds=5)
    partition = shard_of("acme", settings.partitions)
    name = settings.namespace + BACKOFFICE.name
    environment = {"ADDONFLOW_NAMESPACE": settings.namespace, "ADDONFLOW_PARTITIONS": str(settings.partitions)}
    words = ["erase-member", "acme", "sam", "--kafka", settings.kafka_bootstrap, "--redis", redis_url]

    def typed(*more: str) -> int:
        return CliRunner().invoke(app, [*words, *more], env=environment).exit_code

    assert await asyncio.to_thread(typed, "--dry-run") == 1
    assert await asyncio.to_thread(typed, "--by", "no body", "--yes") == 2
    assert await written.read(settings.kafka_bootstrap, name, partition) == []
    assert await asyncio.to_thread(typed, "--yes", "--timeout", "1") == 2
    [order] = await written.read(settings.kafka_bootstrap, name, partition)
    assert b'"user_id":"sam"' in order.value
