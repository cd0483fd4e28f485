"""What a campaign left behind, as the invariants look at it: nothing here speaks to a server."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from contracts.topics import BACKOFFICE, BILLING, BILLING_RESULTS, COMMANDS, EVENTS, NOTIFICATIONS, READERS, RESULTS
from tests.chaos.campaign.history import Operation
from tests.e2e.records import Record

STREAMS = (EVENTS, RESULTS, BILLING, BILLING_RESULTS, NOTIFICATIONS)
"""What services say."""


class Origin(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class StoredShard:
    """What Redis holds of a service's shard: its outbox in order, and how much there is of the rest."""

    service: str
    shard: int
    outbox: tuple[Record, ...]
    inbox: int
    inbox_without_expiry: int = 0
    accounts: int = 0
    gaps: int = 0
    timers_overdue: int = 0


class Access(NamedTuple):
    """Whether an account was said to have an add-on at the end."""

    account_id: str
    add_on: str
    entitled: bool
    said: str = ""


@dataclass
class Evidence:
    """A campaign's end. `topics` and `letters` as read, in the order of their partitions and offsets.

    `verdicts`: what the operator's commands said, by name: exit code and text. `now`: the deployment's time.
    """

    operations: dict[int, Operation] = field(default_factory=dict)
    topics: dict[str, list[Record]] = field(default_factory=dict)
    letters: dict[str, list[Record]] = field(default_factory=dict)
    shards: list[StoredShard] = field(default_factory=list)
    strange_keys: list[str] = field(default_factory=list)
    access: list[Access] = field(default_factory=list)
    verdicts: dict[str, tuple[int, str]] = field(default_factory=dict)
    ends_unasked: list[str] = field(default_factory=list)
    standstills: list[str] = field(default_factory=list)
    unrest: str = ""
    now: datetime = datetime(2027, 1, 1, tzinfo=UTC)
    _firsts: dict[str, dict[tuple[str, str], Record]] = field(default_factory=dict)

    def read(self, topic: str) -> list[Record]:
        """Return what stands in a topic."""
        return self.topics.get(topic, [])

    @cached_property
    def set_aside(self) -> dict[str, dict[Origin, list[Record]]]:
        """The dead letters of each service, by where their records stand."""
        found: dict[str, dict[Origin, list[Record]]] = {service: defaultdict(list) for service in READERS}
        for letters in self.letters.values():
            for letter in letters:
                known = letter.attributes
                topic = next(name for name in self.topics if known["dlq_topic"].endswith(name))
                origin = Origin(topic, int(known["dlq_partition"]), int(known["dlq_offset"]))
                found[known["dlq_service"]][origin].append(letter)
        return found

    @cached_property
    def unreadable(self) -> set[Origin]:
        """Where the records stand that anybody set aside."""
        return {origin for origins in self.set_aside.values() for origin in origins}

    def readable(self, topic: str) -> list[Record]:
        """Return what stands in a topic and was not set aside by anybody."""
        return [each for each in self.read(topic) if origin_of(each) not in self.unreadable]

    def first_of_each(self, topic: str) -> dict[tuple[str, str], Record]:
        """Return the first copy of each readable record of a topic, by account and id, in the order of the log."""
        if topic not in self._firsts:
            found = self._firsts[topic] = {}
            for each in self.readable(topic):
                found.setdefault((each.attributes["ce_subject"], each.id), each)
        return self._firsts[topic]

    @cached_property
    def commands(self) -> dict[tuple[str, str], Record]:
        """Every command that stands in a log, by account and id."""
        return self.first_of_each(COMMANDS.name) | self.first_of_each(BACKOFFICE.name)

    @cached_property
    def answers(self) -> dict[tuple[str, str], list[Record]]:
        """The answers to each command, by account and the command's id, copies left out."""
        found: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for topic in (RESULTS, BILLING_RESULTS):
            for (account, _), answer in self.first_of_each(topic.name).items():
                found[account, answer.data["command_id"]].append(answer)
        return found

    @cached_property
    def events(self) -> list[Record]:
        """Everything that entitlements said happened, each once, an account's in its order."""
        return list(self.first_of_each(EVENTS.name).values())

    def events_of(self, *types: str) -> Iterator[Record]:
        """Yield the events of some types."""
        return (each for each in self.events if each.type in types)

    @cached_property
    def invoices(self) -> list[Record]:
        """Every invoice, each once."""
        return list(self.first_of_each(BILLING.name).values())


def origin_of(record: Record) -> Origin:
    """Return where a record stands."""
    assert record.partition is not None
    return Origin(record.topic, record.partition, record.offset)
