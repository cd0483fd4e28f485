"""The answer to every command: exactly one, in the order of the account's decisions (topic `addons.results.v1`)."""

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
    """Why a command was refused: the closed set of design section 2."""

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


class _Result(Payload):
    command_id: Annotated[str, Field(description="`ce_id` of the command")]
    command_type: Annotated[str, Field(description="`ce_type` of the command")]
    user_id: UserId


class CommandAccepted(_Result):
    """The command took effect; `events` are the `ce_id`s of what it caused, in order."""

    ce_type: ClassVar[str] = "addons.CommandAccepted.v1"

    events: tuple[str, ...]


class CommandRejected(_Result):
    """The command had no effect, and why."""

    ce_type: ClassVar[str] = "addons.CommandRejected.v1"

    reason: Reason
    message: Annotated[str, Field(description="One sentence for people, in English.")]
    allowed_instead: tuple[Action, ...] = ()
    ask: Ask | None = None


CommandResult = CommandAccepted | CommandRejected
