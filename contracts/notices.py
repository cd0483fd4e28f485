"""Whom to tell what: the events of notifications (topic `notifications.events.v1`)."""

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from contracts.payload import Instant, Payload, Value


class Recipient(Value):
    """Whom a notification is for; the sender of mail looks up what is missing."""

    user_id: str | None = None
    email: str | None = None
    name: str | None = None


class Template(StrEnum):
    """What a notification says: the known values of `template`, which is an open string on the wire."""

    FEATURE_REQUEST_FIRST = "feature_request_first"
    FEATURE_REQUEST_DIGEST = "feature_request_digest"
    REQUESTED_ADD_ON_PURCHASED = "requested_add_on_purchased"
    REQUESTED_ADD_ON_TRIAL_STARTED = "requested_add_on_trial_started"
    QUOTE_REQUESTED = "quote_requested"
    PURCHASE_RECEIPT = "purchase_receipt"
    TRIAL_ENDING_SOON = "trial_ending_soon"
    TRIAL_ENDED = "trial_ended"
    QUOTE_ACTIVATED = "quote_activated"
    QUOTE_DECLINED = "quote_declined"
    QUOTE_EXPIRED = "quote_expired"
    FEATURE_DECLINED = "feature_declined"
    SUBSCRIPTION_CANCELED = "subscription_canceled"
    INVOICE = "invoice"


class NotificationRequested(Payload):
    """A message to people, for whatever delivers mail or in-app messages; `data` fills the template."""

    ce_type: ClassVar[str] = "notifications.NotificationRequested.v1"

    notification_id: str
    template: Annotated[str, Field(description="what it says: " + ", ".join(sorted(Template)))]
    requested_at: Instant
    recipients: Annotated[tuple[Recipient, ...], Field(min_length=1)]
    data: dict[str, Any]
