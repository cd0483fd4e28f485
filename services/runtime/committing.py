"""Load, decide, commit for the deliveries of one shard, and again for the accounts that changed meanwhile.

An account's deliveries of a batch are one commit. One that met a conflict is loaded and decided anew, all its
deliveries: what another process has answered or applied meanwhile is then recognised as repeated (inbox, sequence,
revision, timer). A delivery whose decision raises is a defect of the service: it is given back as a failure, and its
account and neighbours go on.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple

from services.runtime import metrics
from services.runtime.clock import Clock, to_milliseconds
from services.runtime.decision import Answer, D, Decider, NeedsRows, TimerDue
from services.runtime.delivery import Delivery
from services.runtime.errors import ConfigurationError, ConflictsExhausted
from services.runtime.outcomes import Outcomes, fields_of
from services.runtime.store import Commit, Loaded, Store, Wanted
from services.runtime.unit_of_work import UnitOfWork

log = logging.getLogger("addonflow.committing")
FAILED_TIMER_DELAY = timedelta(minutes=1)
_ROUNDS_OF_ROWS_MAX = 4
_DETAIL_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """A delivery that the service could not decide, and the error for people."""

    delivery: Delivery
    detail: str


class _Account(NamedTuple):
    """What was loaded of an account, and the names under which its rows and answers were asked for."""

    loaded: Loaded
    rows: Sequence[str]
    command_keys: Sequence[str]


class _Moved(Exception):  # noqa: N818 - it moved between two loads
    """The account changed between two loads of the same attempt."""


class _Attempt(Generic[D]):
    """What one attempt found: accounts, units of work, failures, and the accounts to do again.

    Of these, `unstorable` are the accounts whose state cannot be stored; `careful`: the ones that the last attempt
    found so, in which the delivery to blame is to be found now.
    """

    def __init__(self, careful: set[str]) -> None:
        self.careful = careful
        self.accounts: dict[str, _Account] = {}
        self.units: dict[str, UnitOfWork[D]] = {}
        self.failures: list[Failure] = []
        self.failed: set[int] = set()
        self.conflicted: set[str] = set()
        self.unstorable: set[str] = set()

    def fail(self, delivery: Delivery, error: Exception) -> None:
        """Note that a delivery cannot be decided."""
        log.error("cannot decide", exc_info=error, extra=fields_of(delivery))
        self.failures.append(Failure(delivery, f"{type(error).__name__}: {error}"[:_DETAIL_CHARACTERS_MAX]))
        self.failed.add(id(delivery))


class Committing(Generic[D]):
    """Runs a service's decider over stored state."""

    def __init__(
        self,
        decider: Decider[D],
        answer: Answer | None,
        store: Store,
        clock: Clock,
        conflicts_max: int,
        outcomes: Outcomes | None = None,
    ) -> None:
        self._decider = decider
        self._answer = answer
        self._store = store
        self._clock = clock
        self._conflicts_max = conflicts_max
        self._outcomes = outcomes or Outcomes()

    async def run(self, shard: int, deliveries: Sequence[Delivery]) -> list[Failure]:
        """Give every delivery its one effect; return those that could not be decided.

        Raises what Redis raises, and ConflictsExhausted; running again after either is safe.
        """
        failures: list[Failure] = []
        careful: set[str] = set()
        for _ in range(self._conflicts_max):
            attempt = await self._attempt(shard, deliveries, careful)
            careful |= attempt.unstorable
            failed = [each for each in attempt.failures if each.delivery.account_id not in attempt.conflicted]
            failures += failed
            done = [unit for account_id, unit in attempt.units.items() if account_id not in attempt.conflicted]
            self._outcomes.durable(shard, done, [each.delivery for each in failed])
            deliveries = [each for each in deliveries if each.account_id in attempt.conflicted]
            if not deliveries:
                return failures
            metrics.CONFLICTS.inc(len(attempt.conflicted - attempt.unstorable))
        raise ConflictsExhausted(f"shard {shard}: {len(deliveries)} messages after {self._conflicts_max} attempts")

    async def _attempt(self, shard: int, deliveries: Sequence[Delivery], careful: set[str]) -> _Attempt[D]:
        now = self._clock.now()
        attempt: _Attempt[D] = _Attempt(careful)
        await self._load(shard, attempt, deliveries)
        for delivery in deliveries:
            if delivery.account_id in attempt.conflicted or id(delivery) in attempt.failed:
                continue
            try:
                await self._decide(shard, attempt, delivery, now)
            except _Moved:
                attempt.conflicted.add(delivery.account_id)
        commits = _put_off(attempt, now) + _commits(attempt)
        if commits:
            for commit, written in zip(commits, await self._store.commit(shard, commits), strict=True):
                if not written:
                    attempt.conflicted.add(commit.account_id)
        return attempt

    async def _load(self, shard: int, attempt: _Attempt[D], deliveries: Sequence[Delivery]) -> None:
        """Load every account of the deliveries in one call: with the rows they name, and their commands' answers."""
        rows: defaultdict[str, dict[str, None]] = defaultdict(dict)
        command_keys: defaultdict[str, list[str]] = defaultdict(list)
        for delivery in deliveries:
            named = rows[delivery.account_id]
            if delivery.message is not None:
                try:
                    for name in self._decider.rows(delivery.message):
                        named[name] = None
                except Exception as error:  # noqa: BLE001 - a defect of the service, given back
                    attempt.fail(delivery, error)
            if delivery.is_command:
                command_keys[delivery.account_id].append(delivery.cause.key)
        wanted = [Wanted(account_id, command_keys[account_id], list(names)) for account_id, names in rows.items()]
        found = await self._store.load(shard, wanted)
        for want, loaded in zip(wanted, found, strict=True):
            attempt.accounts[want.account_id] = _Account(loaded, want.rows, want.command_ids)

    def _unit(self, attempt: _Attempt[D], account_id: str, now: datetime) -> UnitOfWork[D]:
        unit = attempt.units.get(account_id)
        if unit is None:
            account = attempt.accounts[account_id]
            careful = account_id in attempt.careful
            traces = self._outcomes.traces
            unit = UnitOfWork(
                self._decider, self._answer, account_id, now, account.loaded, careful=careful, traces=traces
            )
            unit.add_rows(account.rows, account.loaded.rows)
            for command_key, answer in zip(account.command_keys, account.loaded.answers, strict=True):
                if answer is not None:
                    unit.mark_answered(command_key)
            attempt.units[account_id] = unit
        return unit

    async def _decide(self, shard: int, attempt: _Attempt[D], delivery: Delivery, now: datetime) -> None:
        names: tuple[str, ...] = ()
        stored: Sequence[bytes | None] = ()
        for _ in range(1 + _ROUNDS_OF_ROWS_MAX):
            try:
                unit = self._unit(attempt, delivery.account_id, now)
                if names:
                    unit.add_rows(names, stored)
                outcome = unit.handle(delivery)
            except ConfigurationError:
                raise  # a newer release wrote the account: this one must leave it alone
            except Exception as error:  # noqa: BLE001 - a defect of the service, given back
                return attempt.fail(delivery, error)
            if not isinstance(outcome, NeedsRows):
                return None
            names = outcome.names
            stored = await self._more_rows(shard, unit, names)
        return attempt.fail(delivery, RuntimeError("asks for more and more rows"))

    async def _more_rows(self, shard: int, unit: UnitOfWork[D], names: tuple[str, ...]) -> Sequence[bytes | None]:
        (stored,) = await self._store.load(shard, [Wanted(unit.state.account_id, (), names)])
        if stored.version != unit.version:
            raise _Moved
        return stored.rows


def _put_off(attempt: _Attempt[Any], now: datetime) -> list[Commit]:
    """Have timers that cannot be decided come again later instead of at once.

    Return commits for those of accounts that could not even be read; the others go with their account's.
    """
    due_ms = to_milliseconds(now + FAILED_TIMER_DELAY)
    unread: defaultdict[str, list[str | int]] = defaultdict(list)
    for failure in attempt.failures:
        account_id, message = failure.delivery.account_id, failure.delivery.message
        if isinstance(message, TimerDue):
            if account_id in attempt.units:
                attempt.units[account_id].put_off(message.name, due_ms)
            else:
                unread[account_id] += (message.name, due_ms)
    return [
        Commit(account_id, attempt.accounts[account_id].loaded.version, timers=timers)
        for account_id, timers in unread.items()
    ]


def _commits(attempt: _Attempt[Any]) -> list[Commit]:
    """Return every account's commit, but of those that are to be done again."""
    commits = []
    for account_id, unit in attempt.units.items():
        if account_id in attempt.conflicted:
            continue
        try:
            commit = unit.commit()
        except Exception:  # noqa: BLE001 - a defect of the service, found delivery by delivery in the next attempt
            attempt.unstorable.add(account_id)
            continue
        if commit is not None:
            commits.append(commit)
    attempt.conflicted |= attempt.unstorable
    return commits
