"""The processes of the services: two of each, started again when they end, each end held against what was done to it.

A process that ends by itself, or otherwise than it was told to, is a finding (`ends_unasked`).
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.chaos import launcher
from tests.chaos.campaign.history import History
from tests.chaos.campaign.waiting import within
from tests.e2e.services import SERVICES, ServiceProcess

NAMES = ("a", "b")
_LOOK_SECONDS = 0.05
_STOP_SECONDS_MAX = 30
_LOG_CHARACTERS = 1_500


@dataclass(slots=True)
class Member:
    """One of a service's processes. `may_end_with`: the exit codes of what was done to it; `name` "" has none."""

    service: str
    name: str
    process: ServiceProcess
    may_end_with: set[int] = field(default_factory=set)
    is_held: bool = False
    frozen: bool = False
    point: str = ""

    @property
    def label(self) -> str:
        """What it is called in the history."""
        return f"{self.service}-{self.name or 'extra'}"


class Fleet:
    """Starts the processes, keeps them running, and does to them what the nemesis asks for."""

    def __init__(self, settings: Mapping[str, str], history: History) -> None:
        self._settings = dict(settings)
        self._at_point: Callable[[Member], None] = lambda _: None
        self._history = history
        self.members: list[Member] = []
        self.ends_unasked: list[str] = []
        self.points_reached: list[tuple[str, str]] = []
        self._keeping: asyncio.Task[None] | None = None

    def when_at_a_point(self, told: Callable[[Member], None]) -> None:
        """Have it told when an armed process has killed itself."""
        self._at_point = told

    def start(self) -> None:
        """Start two processes of each service, and keep them running."""
        for service in SERVICES:
            for name in NAMES:
                self.members.append(Member(service, name, self._process(service, name).start()))
        self._keeping = asyncio.create_task(self._keep())

    def _process(self, service: str, name: str, words: Sequence[str] | None = None) -> ServiceProcess:
        named = {"ADDONFLOW_INSTANCE_ID": name} if name else {}
        return ServiceProcess(service, self._settings | named, words)

    async def _keep(self) -> None:
        while True:
            for member in [each for each in self.members if not each.process.running and not each.is_held]:
                self._ended(member)
            await asyncio.sleep(_LOOK_SECONDS)

    def _ended(self, member: Member) -> None:
        code = member.process.process.returncode
        if code == -signal.SIGKILL and member.point and code not in member.may_end_with:
            self.points_reached.append((member.label, member.point))
            self._at_point(member)
        elif code not in member.may_end_with:
            log = member.process.log[-_LOG_CHARACTERS:]
            self.ends_unasked.append(f"{member.label} ended with {code}: {log}")
        self._history.note("ended", member=member.label, code=code, point=member.point)
        member.process.__exit__(None, None, None)
        if member.name:
            self._run(member)
        else:
            self.members.remove(member)

    def _run(self, member: Member, words: Sequence[str] | None = None) -> None:
        member.process = self._process(member.service, member.name, words).start()
        member.may_end_with, member.point, member.frozen = set(), "", False

    def named(self, *services: str) -> list[Member]:
        """Return the processes that are always there, of all services or some."""
        return [each for each in self.members if each.name and each.service in (services or SERVICES)]

    def doors(self) -> list[int]:
        """Return the ports where entitlements may answer."""
        return [each.process.port for each in self.members if each.service == "entitlements" and not each.frozen]

    def kill(self, member: Member) -> None:
        """End a process at once; another is started in its place."""
        member.may_end_with.add(-signal.SIGKILL)
        member.process.process.send_signal(signal.SIGKILL)

    def arm(self, member: Member, point: str, nth: int) -> None:
        """Put a process in a member's place that kills itself when it comes to a point for the nth time."""
        if member.process.running:
            member.process.kill()
        member.process.__exit__(None, None, None)
        self._run(member, launcher.words(member.service, point, nth))
        member.point = point

    def disarm(self) -> None:
        """Put processes without a fault in the place of those that are still armed."""
        for member in self.members:
            if member.point and member.process.running:
                self.kill(member)

    def freeze(self, member: Member) -> None:
        """Have a process stand still."""
        member.frozen = True
        member.process.process.send_signal(signal.SIGSTOP)

    def thaw(self, member: Member) -> None:
        """Let a process that stood still go on."""
        member.frozen = False
        with contextlib.suppress(ProcessLookupError):
            member.process.process.send_signal(signal.SIGCONT)

    def stop(self, member: Member) -> None:
        """Ask a process to stop; another is started in its place. One that has just begun is ended by the signal."""
        member.may_end_with |= {0, -signal.SIGTERM}
        member.process.process.send_signal(signal.SIGTERM)

    def join(self, service: str, words: Sequence[str] | None = None) -> Member:
        """Start a process more, without a name in the group."""
        member = Member(service, "", self._process(service, "", words).start())
        self.members.append(member)
        return member

    async def until_ready(self, seconds: float) -> None:
        """Wait until every process takes part; AssertionError says who does not."""

        async def ready() -> bool:
            return not await self.unready()

        assert await within(seconds, ready), await self.unready()

    async def unready(self) -> list[str]:
        """Return who does not take part, and why."""
        replies = await asyncio.gather(*(asyncio.to_thread(each.process.get, "/readyz") for each in self.members))
        said = zip(self.members, replies, strict=True)
        return [f"{each.label}: {status} {text[:200]}" for each, (status, text) in said if status != 200]

    async def end(self) -> None:
        """Stop every process as an operator does; an exit code other than 0 is a finding."""
        if self._keeping is not None:
            self._keeping.cancel()
        for member in self.members:
            self.thaw(member)
            member.is_held = True
            if member.process.running:
                member.process.process.send_signal(signal.SIGTERM)
        for member in self.members:
            try:
                code = await asyncio.to_thread(member.process.wait, _STOP_SECONDS_MAX)
            except AssertionError as error:
                self.ends_unasked.append(f"{member.label} does not stop: {error}")
            else:
                if code:
                    self.ends_unasked.append(f"{member.label} stopped with {code}: {member.process.log[-1_500:]}")
            member.process.__exit__(None, None, None)
