"""The registry of topics: name, what it carries, who writes it. The only place in the system that spells a topic.

Every topic has the deployment's number of partitions and the account id as key; each has exactly one writer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.commands import PurchaseAddOn, RequestFeature, RequestQuote, StartTrial
from contracts.events import (
    AddOnPurchased,
    FeatureRequested,
    InvoiceIssued,
    NotificationRequested,
    QuoteRequested,
    TrialEnded,
    TrialStarted,
)
from contracts.payload import Payload
from contracts.results import CommandAccepted, CommandRejected


class Kind(StrEnum):
    """What a topic's records are, and so how a reader tells a repetition.

    facts: by the subject's revision. commands: by the command's id (inbox). stream: by `ce_sequence`, which counts
    1, 2, 3 … per account.
    """

    FACTS = "facts"
    COMMANDS = "commands"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. `writer` is the only party that writes it, `source` what it puts into `ce_source`."""

    name: str
    writer: str
    kind: Kind
    payloads: tuple[type[Payload], ...]

    @property
    def source(self) -> str:
        """The `ce_source` of everything on this topic."""
        return f"/{self.writer}"

    def dead_letters_of(self, service: str) -> str:
        """Name the topic for records that `service` could not read from this one."""
        return f"{self.name}.{service}.dlq"


ACCOUNTS: Final = Topic("addons.accounts.v1", "accounts", Kind.FACTS, (AccountUpdated, MemberUpdated))
COMMANDS: Final = Topic(
    "addons.commands.v1", "dashboard", Kind.COMMANDS, (PurchaseAddOn, RequestQuote, StartTrial, RequestFeature)
)
EVENTS: Final = Topic(
    "addons.events.v1",
    "entitlements",
    Kind.STREAM,
    (QuoteRequested, TrialStarted, TrialEnded, FeatureRequested, AddOnPurchased),
)
RESULTS: Final = Topic("addons.results.v1", "entitlements", Kind.STREAM, (CommandAccepted, CommandRejected))
BILLING: Final = Topic("billing.events.v1", "billing", Kind.STREAM, (InvoiceIssued,))
NOTIFICATIONS: Final = Topic("notifications.events.v1", "notifications", Kind.STREAM, (NotificationRequested,))

TOPICS: Final = (ACCOUNTS, COMMANDS, EVENTS, RESULTS, BILLING, NOTIFICATIONS)

READERS: Final[dict[str, tuple[Topic, ...]]] = {
    "entitlements": (ACCOUNTS, COMMANDS),
    "billing": (EVENTS,),
    "notifications": (ACCOUNTS, EVENTS, BILLING),
}

BY_NAME: Final = {topic.name: topic for topic in TOPICS}
_TOPIC_OF: Final = {payload: topic for topic in TOPICS for payload in topic.payloads}


def topic_of(payload: type[Payload]) -> Topic:
    """Return the one topic a payload type is written to."""
    return _TOPIC_OF[payload]


def dead_letter_topics() -> Iterable[str]:
    """Name every dead-letter topic: one per service and topic it reads."""
    return (topic.dead_letters_of(service) for service, topics in READERS.items() for topic in topics)
