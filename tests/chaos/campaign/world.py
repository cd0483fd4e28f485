"""Everything a fault can touch, and what was in flight as it struck."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos.campaign.fleet import Fleet, Member
from tests.chaos.campaign.history import History
from tests.chaos.campaign.load import Clients, Load
from tests.chaos.campaign.observer import Observer
from tests.chaos.campaign.servers import Servers
from tests.e2e.services import SERVICES

_BURST: Final = 12
_IN_FLIGHT_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 0.02


@dataclass(slots=True)
class World:
    """A campaign under way. `hits` counts per fault how often it struck work in flight, `misses` how often none."""

    servers: Servers
    fleet: Fleet
    clients: Clients
    load: Load
    observer: Observer
    history: History
    namespace: str
    partitions: int
    hits: Counter[str] = field(default_factory=Counter)
    misses: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    _sending: set["asyncio.Task[None]"] = field(default_factory=set)

    async def in_flight(self, service: str = "") -> int:
        """Return what waits: commands without an answer, or for one service records that it did not acknowledge.

        Where nothing waits, clients send some more at once, and it is looked again for a moment.
        """
        sending: asyncio.Task[None] | None = None
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _IN_FLIGHT_SECONDS
        while not (found := await self._waiting(service)) and loop.time() < deadline:
            if sending is None:
                sending = asyncio.create_task(self.load.send(_BURST))
            await asyncio.sleep(_LOOK_SECONDS)
        if sending is not None:
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        return found

    async def _waiting(self, service: str) -> int:
        if service in ("", "entitlements"):
            return len(self.clients.waiting)
        return await self.observer.lag(service) or 0

    async def everything_in_flight(self) -> int:
        """Return what waits in all services, commands without an answer first."""
        return await self.in_flight() or sum([await self.observer.lag(each) or 0 for each in SERVICES])

    def at_a_point(self, member: Member) -> None:
        """Count a process that killed itself between two steps: it came there with work in its hands."""
        self.kills += 1
        self.hit("process-killed-at-a-point", 1, member=member.label, point=member.point)

    def hit(self, fault: str, in_flight: int, **facts: Any) -> None:
        """Write down that a fault struck, with so much in flight: none is a miss."""
        (self.hits if in_flight else self.misses)[fault] += 1
        self.history.note("hit" if in_flight else "miss", fault=fault, in_flight=in_flight, **facts)
