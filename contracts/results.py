"""The answer to every command: exactly one, in the order of the account's decisions.

Entitlements answers on `addons.results.v1`, billing (credits) on `billing.results.v1`. The `user_id` of an answer is
who sent the command: a member, or for a back-office command the member of the vendor's staff.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from contracts.payload import Payload, UserId


class Action(StrEnum):
    """What a member may do with an add-on; named as in the dashboards."""

    SUBSCRIBE_NOW = "subscribe_now"
    REQUEST_QUOTE = "request_quote"
    TRY_FOR_FREE = "try_for_free"
    REQUEST_FEATURE = "request_feature"


class Ask(StrEnum):
    """Whom a refused member should turn to."""

    OWNER = "owner"
    ACCOUNT_MANAGER = "account_manager"


class Reason(StrEnum):
    """Why a command was refused: the closed set of design section 2, and what credits and declines need."""

    ACCOUNT_UNKNOWN = "account_unknown"
    ACCOUNT_NOT_ACTIVE = "account_not_active"
    MEMBER_UNKNOWN = "member_unknown"
    ROLE_NOT_PERMITTED = "role_not_permitted"
    ADD_ON_UNKNOWN = "add_on_unknown"
    ALREADY_PURCHASED = "already_purchased"
    TRIAL_ACTIVE = "trial_active"
    TRIAL_ALREADY_USED = "trial_already_used"
    QUOTE_REQUIRED = "quote_required"
    QUOTE_NOT_OFFERED = "quote_not_offered"
    QUOTE_PENDING = "quote_pending"
    NO_QUOTE_PENDING = "no_quote_pending"
    ALREADY_REQUESTED = "already_requested"
    PAYMENT_METHOD_REQUIRED = "payment_method_required"
    PRICE_CHANGED = "price_changed"
    PROMISE_INVALID = "promise_invalid"
    SUBSCRIPTION_UNKNOWN = "subscription_unknown"
    CHANGE_NOT_ALLOWED = "change_not_allowed"
    TRIAL_NOT_ACTIVE = "trial_not_active"
    NOTHING_REQUESTED = "nothing_requested"
    INVOICE_UNKNOWN = "invoice_unknown"
    CREDIT_EXCEEDS_PAID = "credit_exceeds_paid"


class _Answer(Payload):
    command_id: Annotated[str, Field(description="`ce_id` of the command")]
    command_type: Annotated[str, Field(description="`ce_type` of the command")]
    user_id: UserId
    request_digest: Annotated[
        str | None, Field(description="SHA-256 of the request, where the command came over HTTP: no topic has it.")
    ] = None


class _Acceptance(_Answer):
    events: tuple[str, ...]


class _Refusal(_Answer):
    reason: Reason
    message: Annotated[str, Field(description="One sentence for people, in English.")]
    allowed_instead: tuple[Action, ...] = ()
    ask: Ask | None = None


class CommandAccepted(_Acceptance):
    """The command took effect; `events` are the `ce_id`s of what it caused, in order."""

    ce_type: ClassVar[str] = "addons.CommandAccepted.v1"


class CommandRejected(_Refusal):
    """The command had no effect, and why."""

    ce_type: ClassVar[str] = "addons.CommandRejected.v1"


class CreditAccepted(_Acceptance):
    """The credit was issued; `events` is the `ce_id` of its invoice."""

    ce_type: ClassVar[str] = "billing.CreditAccepted.v1"


class CreditRejected(_Refusal):
    """The credit was not issued, and why."""

    ce_type: ClassVar[str] = "billing.CreditRejected.v1"


CommandResult = CommandAccepted | CommandRejected | CreditAccepted | CreditRejected
