"""Requests about one account wait for each other and go together; those about others do not notice."""

import asyncio
from collections.abc import Sequence

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from services.runtime import turns
from services.runtime.delivery import Delivery
from services.runtime.errors import Crowded
from services.runtime.turns import Turns


class Deciding:
    """Decides when it is let; keeps what it was given, and raises once what it is told to."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.go = asyncio.Event()
        self.trouble: Exception | None = None
        self.turns = Turns(self.decide)

    async def decide(self, shard: int, deliveries: Sequence[Delivery]) -> None:
        """Decide deliveries."""
        assert shard == 3
        self.calls.append([delivery.cause.id for delivery in deliveries])
        await self.go.wait()
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble

    def ask(self, number: int, account_id: str = "acme") -> "asyncio.Task[None]":
        """Ask for a decision."""
        delivery = Delivery.of_timer(account_id, "x", number)
        return asyncio.create_task(self.turns.take(3, delivery))


def named(*numbers: int, account_id: str = "acme") -> list[str]:
    """Return the ids of what was asked under these numbers."""
    return [Delivery.of_timer(account_id, "x", number).cause.id for number in numbers]


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_comes_meanwhile_is_decided_together_in_order() -> None:
    """While one decision is under way those behind it wait, and are one decision, a hundred at most."""
    deciding = Deciding()
    asked = [deciding.ask(number) for number in range(151)]
    await settle()
    asked += [deciding.ask(151), deciding.ask(152)]
    deciding.go.set()
    await asyncio.gather(*asked)
    assert [name for call in deciding.calls for name in call] == named(*range(153))
    assert [len(call) for call in deciding.calls] == [100, 53]


async def test_other_accounts_do_not_wait() -> None:
    """A decision about one account holds up no other's."""
    deciding = Deciding()
    asked = [deciding.ask(1), deciding.ask(2, "globex")]
    await settle()
    assert deciding.calls == [named(1), named(2, account_id="globex")]
    deciding.go.set()
    await asyncio.gather(*asked)


async def test_trouble_is_told_to_each_it_met_and_to_nobody_behind() -> None:
    """All who were decided together are told what went wrong; the next decision is made, and nothing is kept."""
    deciding = Deciding()
    deciding.trouble = RedisConnectionError("away")
    first = [deciding.ask(1), deciding.ask(2)]
    await settle()
    second = deciding.ask(3)
    await settle()
    deciding.go.set()
    async with asyncio.timeout(5):
        told = await asyncio.gather(*first, second, return_exceptions=True)
    assert [type(each) for each in told] == [RedisConnectionError, RedisConnectionError, type(None)]
    await deciding.ask(4)
    await settle()
    assert (deciding.turns._waiting, deciding.turns._working) == ({}, {})


async def test_who_gives_up_waiting_holds_nobody_up() -> None:
    """A request that is cancelled is decided all the same, and the others get their end."""
    deciding = Deciding()
    asked = [deciding.ask(1), deciding.ask(2)]
    await settle()
    asked[0].cancel()
    deciding.go.set()
    await asked[1]
    assert deciding.calls == [named(1, 2)]


async def test_too_many_for_one_account_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound a request is refused without being begun; those that wait are decided."""
    monkeypatch.setattr(turns, "_WAITING_MAX", 3)
    deciding = Deciding()
    first = deciding.ask(0)
    await settle()
    waiting = [deciding.ask(number) for number in (1, 2, 3)]
    await settle()
    with pytest.raises(Crowded):
        await deciding.ask(4)
    deciding.go.set()
    await asyncio.gather(first, *waiting)
    assert deciding.calls == [named(0), named(1, 2, 3)]
