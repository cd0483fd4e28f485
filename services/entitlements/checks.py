"""What an account may use, asked by its members, by products and by staff: nothing of prices, nothing of people.

What is paid or granted lasts to its end, whatever became of the account and whatever the catalog still sells.
"""

import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from pydantic import BaseModel, Field

from contracts.catalog import Catalog
from contracts.cycles import local_date
from contracts.payload import AccountId, AddOnId
from contracts.results import Reason
from services.entitlements.account import UNTOUCHED, Known, Member, member_row
from services.entitlements.policy import SENTENCES
from services.entitlements.queries import Access, Held, held
from services.runtime.decision import Rejected

_DAY: Final = timedelta(days=1)
_NOTHING: Final = Held(Access.NONE)


class Entitlement(BaseModel):
    """Whether an account may use an add-on now, and by what."""

    add_on: AddOnId
    entitled: bool
    access: Access
    since: Annotated[datetime | date | None, Field(description="first moment or local day of this access")] = None
    until: Annotated[datetime | date | None, Field(description="first moment or local day without it")] = None
    trial_days_left: Annotated[int | None, Field(description="of 24 hours each; one that has begun counts")] = None
    version: Annotated[int, Field(description="counts what was ever stored of the account")]


class ShownEntitlements(BaseModel):
    """What an account may use now: every add-on of the catalog, and what it has of others."""

    account_id: AccountId
    version: int
    entitlements: tuple[Entitlement, ...]


def rows_to_ask(member_id: str | None) -> tuple[str, ...]:
    """Name the rows that say whether somebody may ask: a member's own; None for who is no member."""
    return (member_row(member_id),) if member_id is not None else ()


def refusal(state: Known, member_id: str | None) -> Rejected | None:
    """Return why nothing is told: the account is not known, or the member is none (any more). Every role may ask."""
    if state.document.account is None:
        return _rejected(Reason.ACCOUNT_UNKNOWN)
    if member_id is None:
        return None
    member: Member | None = state.row(member_row(member_id))
    return None if member is not None and member.status == "active" else _rejected(Reason.MEMBER_UNKNOWN)


def entitlements_of(state: Known, catalog: Catalog, version: int, now: datetime) -> ShownEntitlements:
    """Return what an account, which must be known, may use."""
    return ShownEntitlements(
        account_id=state.account_id,
        version=version,
        entitlements=tuple(_shown(add_on, has, version, now) for add_on, has in usable(state, catalog, now)),
    )


def entitlement_of(state: Known, catalog: Catalog, add_on: str, version: int, now: datetime) -> Entitlement | Rejected:
    """Return whether an account, which must be known, may use an add-on; refuse one that there is not."""
    if add_on not in catalog.add_ons and add_on not in state.document.add_ons:
        return _rejected(Reason.ADD_ON_UNKNOWN)
    return _shown(add_on, _held(state, add_on, now), version, now)


def usable(state: Known, catalog: Catalog, now: datetime) -> Iterator[tuple[str, Held]]:
    """Yield every add-on with what the account, which must be known, has of it: in the catalog's order, others last."""
    for add_on in dict.fromkeys((*catalog.add_ons, *state.document.add_ons)):
        yield add_on, _held(state, add_on, now)


def usable_text(state: Known, catalog: Catalog, now: datetime) -> str:
    """Return a text that differs whenever what an account may use does: not as a trial's days pass, but as it ends."""
    return "\n".join(f"{add_on} {' '.join(map(str, has))}" for add_on, has in usable(state, catalog, now))


def _held(state: Known, add_on: str, now: datetime) -> Held:
    has, account = state.document.add_ons.get(add_on, UNTOUCHED), state.document.account
    if has is UNTOUCHED or account is None:
        return _NOTHING
    return held(has, local_date(now, account.timezone), now)


def _shown(add_on: str, has: Held, version: int, now: datetime) -> Entitlement:
    left = None
    if has.access is Access.TRIAL and isinstance(has.until, datetime):
        left = math.ceil((has.until - now) / _DAY)
    return Entitlement(
        add_on=add_on,
        entitled=has.access is not Access.NONE,
        access=has.access,
        since=has.since,
        until=has.until,
        trial_days_left=left,
        version=version,
    )


def _rejected(reason: Reason) -> Rejected:
    return Rejected(reason, SENTENCES[reason])
