"""What the Plan tab shows of an add-on: its state, its price, what is open to the member, and why the rest is not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from services.dashboard.locales import Formats, with_name_apart
from services.dashboard.shapes import AddOns, ShownAction, ShownAddOn

LABELS = {
    "subscribe_now": "Subscribe now",
    "request_quote": "Request a quote",
    "try_for_free": "Try it for free",
    "request_feature": "Request feature",
}
PATHS = {
    "subscribe_now": "/subscribe",
    "request_quote": "/quote",
    "try_for_free": "/try",
    "request_feature": "/request",
}
ASK = {"owner": "Ask an Owner of your account.", "account_manager": "Ask your account manager."}
_BLURBS = {
    "analytics_plus": "Call times, queues and teams compared over any period, with alerts when a queue grows.",
    "aircall_ai": "Transcripts, summaries and topics of every call, minutes after it ends.",
}
_PER = {"monthly": "month", "annual": "year"}
_ONE_DAY = timedelta(days=1)


class Link(NamedTuple):
    """An action that is open, and where it leads."""

    label: str
    href: str


class Closed(NamedTuple):
    """Actions that are closed for one reason, the reason, and whom to ask."""

    labels: str
    message: str
    ask: str | None


@dataclass(frozen=True, slots=True)
class Card:
    """One add-on as it is shown. `tone` is ready, trial, waiting or open."""

    add_on: str
    name: str
    blurb: str
    state: str
    tone: str
    price: str | None
    price_note: str | None
    links: tuple[Link, ...]
    closed: tuple[Closed, ...]
    waiting_requests: int


class Banner(NamedTuple):
    """A running trial: what, and how long it lasts."""

    add_on: str
    name: str
    days_left: int
    until: str
    link: Link | None


def per(frequency: str) -> str:
    """Return what one billing cycle is called."""
    return _PER.get(frequency, frequency)


def days_left(until: date | datetime, now: datetime) -> int:
    """Return how many days a trial has left, a day begun counting as one."""
    if not isinstance(until, datetime):
        return max(0, (until - now.date()).days)
    return max(0, -((now - until) // _ONE_DAY))


def card_of(add_on: ShownAddOn, formats: Formats, now: datetime, left: int | None = None) -> Card:
    """Return what the card of an add-on shows at `now`; `left` are a trial's days, where they are known."""
    state, tone = _state(add_on, formats, now, left)
    price = add_on.price if add_on.access != "active" else None
    note = None
    if price is not None:
        seats = f"{formats.number(price.seats)} {'seat' if price.seats == 1 else 'seats'}"
        note = f"{formats.money(price.full_price)} a {per(price.frequency)} for your {seats}"
    return Card(
        add_on=add_on.add_on,
        name=add_on.name,
        blurb=_BLURBS.get(add_on.add_on, ""),
        state=state,
        tone=tone,
        price=f"{formats.money(price.unit_price)} per seat and {per(price.frequency)}" if price else None,
        price_note=note,
        links=tuple(link_of(add_on, each.action, "plan_tab") for each in add_on.actions if _offered(each)),
        closed=() if add_on.access == "active" else _closed_of(add_on),
        waiting_requests=add_on.requests_open or 0,
    )


def _offered(action: ShownAction) -> bool:
    return action.open and action.action in LABELS


def link_of(add_on: ShownAddOn, action: str, entry_point: str) -> Link:
    """Return where an action leads; the flow is told where it was entered."""
    return Link(LABELS[action], f"{PATHS[action]}/{add_on.add_on}?from={entry_point}")


def closed_of(actions: Sequence[ShownAction]) -> tuple[Closed, ...]:
    """Return the closed actions, those with one and the same reason together."""
    by_message: dict[tuple[str, str | None], list[str]] = {}
    for each in actions:
        if not each.open and each.message:
            by_message.setdefault((each.message, each.ask), []).append(LABELS.get(each.action, each.action))
    return tuple(
        Closed(" · ".join(labels), message, whom(ask, message)) for (message, ask), labels in by_message.items()
    )


def _closed_of(add_on: ShownAddOn) -> tuple[Closed, ...]:
    closed = closed_of(add_on.actions)
    return tuple(each._replace(message=with_name_apart(each.message, add_on.name)) for each in closed)


def whom(ask: str | None, message: str) -> str | None:
    """Say whom to ask, unless the message has said so."""
    if ask not in ASK:
        return None
    said = message.lower()
    return None if "ask an owner" in said or "ask one of" in said or "account manager" in said else ASK[ask]


def _state(add_on: ShownAddOn, formats: Formats, now: datetime, left: int | None) -> tuple[str, str]:
    match add_on.access:
        case "active":
            return (f"Active until {formats.day(add_on.until)}" if add_on.until else "Active"), "ready"
        case "granted":
            return (f"Free until {formats.day(add_on.until)}" if add_on.until else "Free of charge"), "ready"
        case "trial":
            if left is None:
                left = days_left(add_on.until, now) if add_on.until else 0
            return f"Trial · {_days(left, formats)} left", "trial"
    if add_on.quote_pending:
        return "Quote requested", "waiting"
    return ("Requested by you", "waiting") if add_on.requested_by_you else ("Not in your plan", "open")


def _days(count: int, formats: Formats) -> str:
    return f"{formats.number(count)} {'day' if count == 1 else 'days'}"


def banners_of(shown: AddOns, formats: Formats, now: datetime, left: Mapping[str, int]) -> tuple[Banner, ...]:
    """Return the banners of the trials that run, the first to end first; `left` as for a card, by add-on."""
    banners = []
    for each in shown.add_ons:
        if each.access != "trial" or each.until is None:
            continue
        way = next((name for name in ("subscribe_now", "request_quote", "request_feature") if each.opens(name)), None)
        link = link_of(each, way, "trial") if way else None
        days = left.get(each.add_on, days_left(each.until, now))
        banners.append(Banner(each.add_on, each.name, days, formats.instant(each.until), link))
    return tuple(sorted(banners, key=lambda banner: banner.days_left))


def discoveries_of(shown: AddOns) -> tuple[tuple[str, Link], ...]:
    """Return the entries of the sidebar: what the account has not, and the first thing the member can do about it."""
    found = []
    for each in shown.add_ons:
        first = next((action.action for action in each.actions if _offered(action)), None)
        if each.access == "none" and first is not None:
            found.append((each.name, link_of(each, first, "sidebar")))
    return tuple(found)
