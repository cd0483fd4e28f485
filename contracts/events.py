"""What happened: the events of entitlements.

`AddOnPurchased` carries the terms of the sale, so that billing charges those and never reads today's price list for
yesterday's purchase.
"""

from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from contracts.accounts import BillingFrequency, Licenses
from contracts.backoffice import Staff
from contracts.commands import Cadence
from contracts.money import Money
from contracts.payload import AddOnId, CurrencyCode, Instant, Note, Payload, UserId, Value

NoticeAt = Annotated[
    Instant, Field(description="when TrialEndingSoon is due; the same as `ends_at` where there is to be none")
]


class Person(Value):
    """A member as they were when something happened."""

    user_id: UserId
    role: str
    name: str | None = None


class QuoteRequested(Payload):
    """An Owner asked for an offer; the quote is open until the back office answers, at most until `expires_at`."""

    ce_type: ClassVar[str] = "addons.QuoteRequested.v1"

    add_on: AddOnId
    quote_id: str
    requested_by: Person
    requested_at: Instant
    licenses: Licenses
    note: Note | None = None
    expires_at: Annotated[Instant, Field(description="first moment at which it can be answered no more")] | None = None


class QuoteDeclined(Payload):
    """The back office made no offer: the quote is closed."""

    ce_type: ClassVar[str] = "addons.QuoteDeclined.v1"

    add_on: AddOnId
    quote_id: str
    requested_by: Person
    declined_at: Instant
    by: Staff


class QuoteExpired(Payload):
    """Nobody answered the quote in time: it is closed, and another may be requested."""

    ce_type: ClassVar[str] = "addons.QuoteExpired.v1"

    add_on: AddOnId
    quote_id: str
    requested_by: Person
    expired_at: Instant


class TrialStarted(Payload):
    """A free trial began; access lasts until `ends_at` (exclusive)."""

    ce_type: ClassVar[str] = "addons.TrialStarted.v1"

    add_on: AddOnId
    started_by: Person
    started_at: Instant
    ends_at: Instant
    notice_at: NoticeAt | None = None


class TrialEndingSoon(Payload):
    """A trial ends in a few days, as many as the catalog says."""

    ce_type: ClassVar[str] = "addons.TrialEndingSoon.v1"

    add_on: AddOnId
    started_by: Person
    ends_at: Instant
    after_trial: Annotated[str, Field(description="what comes then: lapse, or convert: it is bought")] | None = None


class TrialExtended(Payload):
    """The back office lets a trial end later: access lasts until `ends_at` (exclusive)."""

    ce_type: ClassVar[str] = "addons.TrialExtended.v1"

    add_on: AddOnId
    ends_at: Instant
    extended_at: Instant
    by: Staff
    notice_at: NoticeAt | None = None


class TrialEnded(Payload):
    """A trial is over, and why; access ended with it, unless a purchase goes with it."""

    ce_type: ClassVar[str] = "addons.TrialEnded.v1"

    add_on: AddOnId
    ended_at: Instant
    reason: Annotated[str, Field(description="expired, purchased or back_office")]
    started_by: Person | None = None
    by: Staff | None = None


class FeatureRequested(Payload):
    """A member who may not buy asked the Owners for an add-on."""

    ce_type: ClassVar[str] = "addons.FeatureRequested.v1"

    add_on: AddOnId
    requested_by: Person
    requested_at: Instant
    note: Note | None = None


class Terms(Value):
    """Everything the price of a subscription depends on, as agreed at the purchase.

    The zone was known when it was agreed on; what was agreed stays legible where zone data has lost it since.
    """

    price_version: str
    unit_price: Money
    frequency: BillingFrequency
    licenses: Licenses
    currency: CurrencyCode
    timezone: Annotated[str, Field(max_length=64, description="IANA time zone name.")]
    cycle_anchor: date


class PromisedPrice(Value):
    """What a price promise fixed beside terms and first day: its moment, how a part of a cycle counts, and the amount.

    The amount is what the three come to; it is here to be compared.
    """

    promised_at: Instant
    rule: Literal["day", "second", "fixed_30"]
    amount: Money


class AddOnPurchased(Payload):
    """A subscription began. `effective_date` is the first billed day, in the account's zone.

    A trial that converts and a quote that is activated name the member who started it or asked for it. A purchase with
    a price promise is charged exactly that: `effective_date` and `terms` are the promise's, `promised` is what else the
    charge depends on, and `promise` the token itself. Its day may be the one before the purchase.
    """

    ce_type: ClassVar[str] = "addons.AddOnPurchased.v1"

    add_on: AddOnId
    subscription_id: str
    purchased_by: Person
    purchased_at: Instant
    effective_date: date
    terms: Terms
    origin: Annotated[str, Field(description="self_service, quote or trial")]
    promise: str | None = None
    promised: PromisedPrice | None = None
    quote_id: str | None = None
    reference: str | None = None
    by: Staff | None = None


class SubscriptionModified(Payload):
    """A subscription changed, because the account's facts did (`cause` account) or the back office wanted it.

    From the local date `licenses_from` on `licenses` are what is charged for; from `terms_from`, the first day of a
    period, all of `terms` is in force. Both are the last word: they replace what an earlier change had announced.
    """

    ce_type: ClassVar[str] = "addons.SubscriptionModified.v1"

    add_on: AddOnId
    subscription_id: str
    modified_at: Instant
    licenses: Licenses
    licenses_from: date
    terms: Terms
    terms_from: date
    follows_account: Annotated[bool, Field(description="whether the licenses follow the account's")] = True
    cause: Annotated[str, Field(description="account or back_office")]
    by: Staff | None = None


class SubscriptionCanceled(Payload):
    """A subscription ends: `effective_date` is the first local day without it. Days paid from there on are credited."""

    ce_type: ClassVar[str] = "addons.SubscriptionCanceled.v1"

    add_on: AddOnId
    subscription_id: str
    canceled_at: Instant
    effective_date: date
    cause: Annotated[str, Field(description="back_office or account_closed")]
    by: Staff | None = None


class AddOnGranted(Payload):
    """An add-on is free of charge up to, not including, the local date `until`."""

    ce_type: ClassVar[str] = "addons.AddOnGranted.v1"

    add_on: AddOnId
    until: date
    granted_at: Instant
    by: Staff


class FeatureDeclined(Payload):
    """An Owner turned down the requests for an add-on made so far."""

    ce_type: ClassVar[str] = "addons.FeatureDeclined.v1"

    add_on: AddOnId
    declined_by: Person
    declined_at: Instant
    note: Note | None = None


class FeatureSnoozed(Payload):
    """The Owners hear nothing of the requests for an add-on before the local date `until`."""

    ce_type: ClassVar[str] = "addons.FeatureSnoozed.v1"

    add_on: AddOnId
    snoozed_by: Person
    snoozed_at: Instant
    until: date


class DigestChanged(Payload):
    """The Owners get their digest of feature requests this often."""

    ce_type: ClassVar[str] = "addons.DigestChanged.v1"

    cadence: Cadence
    changed_by: Person
    changed_at: Instant


class MemberErased(Payload):
    """Who a member was is forgotten: a reader drops what it keeps of their name, e-mail, locale and notes.

    No later event has any of it. A fact about this `user_id` that comes later, in whatever order, brings nothing back.
    """

    ce_type: ClassVar[str] = "addons.MemberErased.v1"

    user_id: UserId
    erased_at: Instant
    by: Staff


EntitlementEvent = (
    QuoteRequested
    | QuoteDeclined
    | QuoteExpired
    | TrialStarted
    | TrialEndingSoon
    | TrialExtended
    | TrialEnded
    | FeatureRequested
    | FeatureDeclined
    | FeatureSnoozed
    | DigestChanged
    | AddOnPurchased
    | AddOnGranted
    | SubscriptionModified
    | SubscriptionCanceled
    | MemberErased
)
