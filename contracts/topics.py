"""The registry of topics: name, what it carries, who writes it. The only place in the system that spells a topic.

Every topic has the deployment's number of partitions and the account id as key; each has exactly one writer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.backoffice import (
    ActivateAddOn,
    CancelSubscription,
    DeclineQuote,
    EndTrial,
    EraseMember,
    ExtendTrial,
    GrantAddOn,
    IssueCredit,
    ModifySubscription,
)
from contracts.commands import (
    BackOfficeAttempt,
    ChangeDigest,
    DeclineFeature,
    PurchaseAddOn,
    RequestFeature,
    RequestQuote,
    SnoozeFeature,
    StartTrial,
)
from contracts.events import (
    AddOnGranted,
    AddOnPurchased,
    DigestChanged,
    FeatureDeclined,
    FeatureRequested,
    FeatureSnoozed,
    MemberErased,
    QuoteDeclined,
    QuoteExpired,
    QuoteRequested,
    SubscriptionCanceled,
    SubscriptionModified,
    TrialEnded,
    TrialEndingSoon,
    TrialExtended,
    TrialStarted,
)
from contracts.invoices import InvoiceIssued
from contracts.notices import NotificationRequested
from contracts.payload import Payload
from contracts.results import CommandAccepted, CommandRejected, CreditAccepted, CreditRejected


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
    """One topic. `writer` is the only party that writes it, `source` what it puts into `ce_source`.

    `refuses`: message types of another topic that are not obeyed here, but answered; they are read as `refused_as`.
    """

    name: str
    writer: str
    kind: Kind
    payloads: tuple[type[Payload], ...]
    refuses: tuple[type[Payload], ...] = ()
    refused_as: type[Payload] | None = None

    @property
    def source(self) -> str:
        """The `ce_source` of everything on this topic."""
        return f"/{self.writer}"

    def dead_letters_of(self, service: str) -> str:
        """Name the topic for records that `service` could not read from this one."""
        return f"{self.name}.{service}.dlq"


ACCOUNTS: Final = Topic("addons.accounts.v1", "accounts", Kind.FACTS, (AccountUpdated, MemberUpdated))
BACKOFFICE: Final = Topic(
    "addons.backoffice.v1",
    "backoffice",
    Kind.COMMANDS,
    (
        ActivateAddOn,
        DeclineQuote,
        ModifySubscription,
        CancelSubscription,
        ExtendTrial,
        EndTrial,
        GrantAddOn,
        IssueCredit,
        EraseMember,
    ),
)
COMMANDS: Final = Topic(
    "addons.commands.v1",
    "dashboard",
    Kind.COMMANDS,
    (PurchaseAddOn, RequestQuote, StartTrial, RequestFeature, DeclineFeature, SnoozeFeature, ChangeDigest),
    refuses=BACKOFFICE.payloads,
    refused_as=BackOfficeAttempt,
)
EVENTS: Final = Topic(
    "addons.events.v1",
    "entitlements",
    Kind.STREAM,
    (
        QuoteRequested,
        QuoteDeclined,
        QuoteExpired,
        TrialStarted,
        TrialEndingSoon,
        TrialExtended,
        TrialEnded,
        FeatureRequested,
        FeatureDeclined,
        FeatureSnoozed,
        DigestChanged,
        AddOnPurchased,
        AddOnGranted,
        SubscriptionModified,
        SubscriptionCanceled,
        MemberErased,
    ),
)
RESULTS: Final = Topic("addons.results.v1", "entitlements", Kind.STREAM, (CommandAccepted, CommandRejected))
BILLING: Final = Topic("billing.events.v1", "billing", Kind.STREAM, (InvoiceIssued,))
BILLING_RESULTS: Final = Topic("billing.results.v1", "billing", Kind.STREAM, (CreditAccepted, CreditRejected))
NOTIFICATIONS: Final = Topic("notifications.events.v1", "notifications", Kind.STREAM, (NotificationRequested,))

TOPICS: Final = (ACCOUNTS, COMMANDS, BACKOFFICE, EVENTS, RESULTS, BILLING, BILLING_RESULTS, NOTIFICATIONS)

READERS: Final[dict[str, tuple[Topic, ...]]] = {
    "entitlements": (ACCOUNTS, COMMANDS, BACKOFFICE),
    "billing": (ACCOUNTS, EVENTS, BACKOFFICE),
    "notifications": (ACCOUNTS, EVENTS, BILLING),
}

OUTSIDE: Final[dict[str, tuple[Topic, ...]]] = {
    "accounts": (),
    "dashboard": (ACCOUNTS, EVENTS, RESULTS, BILLING, BILLING_RESULTS, NOTIFICATIONS),
    "backoffice": (ACCOUNTS, COMMANDS, BACKOFFICE, EVENTS, RESULTS, BILLING, BILLING_RESULTS),
    "subscriber": (EVENTS, RESULTS, BILLING, BILLING_RESULTS, NOTIFICATIONS),
}
"""Parties that are no service of ours, and what each may read. What each writes is said by its topics."""

BY_NAME: Final = {topic.name: topic for topic in TOPICS}
_TOPIC_OF: Final = {payload: topic for topic in TOPICS for payload in topic.payloads}


def topic_of(payload: type[Payload]) -> Topic:
    """Return the one topic a payload type is written to."""
    return _TOPIC_OF[payload]


def dead_letter_topics() -> Iterable[str]:
    """Name every dead-letter topic: one per service and topic it reads."""
    return (topic.dead_letters_of(service) for service, topics in READERS.items() for topic in topics)


def group_name(namespace: str, service: str) -> str:
    """Name a service's consumer group."""
    return f"{namespace}addonflow.{service}"
