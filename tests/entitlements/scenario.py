"""One account and its people: messages to begin a story with, and a catalog that no operator's change can reach."""

from datetime import UTC, date, datetime
from typing import Any, TypeVar

from contracts.accounts import AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.backoffice import Staff
from contracts.catalog import Catalog
from contracts.commands import PurchaseAddOn, RequestFeature, RequestQuote, StartTrial
from contracts.money import Money
from contracts.payload import Payload
from contracts.results import Action, Ask, Reason
from services.entitlements.account import Entitlements
from services.entitlements.domain import EntitlementsDecider
from services.runtime.decision import Accepted, Message, Rejected
from tests.scenario import Scenario, made

P = TypeVar("P", bound=Payload)

ACCOUNT = "acme"
NOW = datetime(2026, 9, 30, 16, 0, 1, tzinfo=UTC)
ADD_ON = "analytics_plus"
CONVERTING = "assist"
REASON = "agreed by phone"
STAFF = Staff(staff_id="sue", reason=REASON)

CATALOG = Catalog.model_validate(
    {
        "self_service_seat_limit": 200,
        "add_ons": {
            ADD_ON: {
                "name": "Analytics+",
                "trial_days": 14,
                "prices": [
                    {
                        "version": "2026-01",
                        "valid_from": date(2026, 1, 1),
                        "unit_prices": [
                            {"currency": "USD", "monthly": "17.95", "annual": "179.50"},
                            {"currency": "GBP", "monthly": "14.95"},
                            {"currency": "JPY", "monthly": "2650"},
                        ],
                    },
                    {
                        "version": "2026-10",
                        "valid_from": date(2026, 10, 1),
                        "unit_prices": [{"currency": "USD", "monthly": "19.95"}],
                    },
                ],
            },
            "aircall_ai": {"name": "Aircall AI", "trial_days": 7, "prices": []},
            CONVERTING: {
                "name": "Assist",
                "trial_days": 7,
                "after_trial": "convert",
                "prices": [
                    {
                        "version": "2026-01",
                        "valid_from": date(2026, 1, 1),
                        "unit_prices": [{"currency": "USD", "monthly": "5.00"}],
                    }
                ],
            },
        },
    }
)
DECIDER = EntitlementsDecider(CATALOG)
UNLIKE = EntitlementsDecider(Catalog(self_service_seat_limit=1, quote_valid_days=1, add_ons={}))
SUBSCRIPTION = made("subscription", "buy", NOW)

COMMANDS = {
    Action.SUBSCRIBE_NOW: PurchaseAddOn,
    Action.REQUEST_QUOTE: RequestQuote,
    Action.TRY_FOR_FREE: StartTrial,
    Action.REQUEST_FEATURE: RequestFeature,
}


def account(revision: int = 1, **changes: Any) -> AccountUpdated:
    """Return an account of 60 seats that buys at list price, in New York, with these fields changed."""
    facts: dict[str, Any] = {
        "name": "Acme",
        "status": "active",
        "currency": "USD",
        "timezone": "America/New_York",
        "sales_managed": False,
        "payment_method_on_file": True,
        "licenses": Licenses(standard=50, additional=10),
        "billing": Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=date(2026, 1, 20)),
    }
    return AccountUpdated(account_id=ACCOUNT, revision=revision, **(facts | changes))


def member(user_id: str, role: str | None = None, *, revision: int = 1, removed: bool = False) -> MemberUpdated:
    """Return a member whose role is their id, unless told otherwise."""
    return MemberUpdated(
        account_id=ACCOUNT,
        revision=revision,
        user_id=user_id,
        role=role or user_id,
        status="removed" if removed else "active",
        name=user_id.title(),
        email=f"{user_id}@acme.example",
    )


def asks(action: Action, user_id: str, add_on: str = ADD_ON, **more: Any) -> Any:
    """Return the plain command behind an action, from this member."""
    return COMMANDS[action](account_id=ACCOUNT, user_id=user_id, add_on=add_on, **more)


def purchase(user_id: str = "owner", **more: Any) -> PurchaseAddOn:
    """Return a member's purchase."""
    return PurchaseAddOn.model_validate({"account_id": ACCOUNT, "user_id": user_id, "add_on": ADD_ON, **more})


def quote(user_id: str = "owner", **more: Any) -> RequestQuote:
    """Return a member's request for a quote."""
    return RequestQuote(account_id=ACCOUNT, user_id=user_id, add_on=ADD_ON, **more)


def trial(user_id: str = "owner", add_on: str = ADD_ON) -> StartTrial:
    """Return a member's start of a trial."""
    return StartTrial(account_id=ACCOUNT, user_id=user_id, add_on=add_on)


def request(user_id: str = "admin", **more: Any) -> RequestFeature:
    """Return a member's feature request."""
    return RequestFeature(account_id=ACCOUNT, user_id=user_id, add_on=ADD_ON, **more)


def says(kind: type[P], user_id: str = "owner", **more: Any) -> P:
    """Return another command of a member's."""
    return kind.model_validate({"account_id": ACCOUNT, "user_id": user_id, **more})


def staff(kind: type[P], **more: Any) -> P:
    """Return a command of the vendor's staff; those about an add-on are about Analytics+ unless told otherwise."""
    return kind.model_validate({"account_id": ACCOUNT, "add_on": ADD_ON, "staff_id": "sue", "reason": REASON, **more})


def dollars(amount_minor: int) -> Money:
    """Return so many cents."""
    return Money(amount_minor=amount_minor, currency="USD")


def given(*messages: Message, now: datetime = NOW) -> Scenario[Entitlements]:
    """Begin a story with what already happened; every message must have been accepted."""
    story: Scenario[Entitlements] = Scenario(DECIDER, ACCOUNT, now)
    return having(story, *messages)


def having(story: Scenario[Entitlements], *messages: Message) -> Scenario[Entitlements]:
    """Let more have happened; every message must have been accepted."""
    for message in messages:
        story.when(message)
        assert isinstance(story.decision, Accepted), story.decision
    return story.given()


def acme(**changes: Any) -> Scenario[Entitlements]:
    """Begin a story with the account and one member of each role, whose ids are their roles."""
    people = (member(role) for role in ("owner", "admin", "supervisor", "agent"))
    return given(account(**changes), *people)


def subscribed(**changes: Any) -> Scenario[Entitlements]:
    """Begin a story with Analytics+ bought now by the Owner; `SUBSCRIPTION` is the subscription's id."""
    story = acme(**changes).when(purchase(), cause_id="buy")
    assert isinstance(story.decision, Accepted), story.decision
    return story.given()


def refused(story: Scenario[Entitlements]) -> Rejected:
    """Return the last refusal; AssertionError when the command was not refused."""
    assert isinstance(story.decision, Rejected), story.decision
    return story.decision


def then_refused(
    story: Scenario[Entitlements], reason: Reason, *instead: Action, ask: Ask | None = None
) -> Scenario[Entitlements]:
    """Check the reason, what is allowed instead, whom to ask, and that nothing happened."""
    rejection = refused(story)
    assert (rejection.reason, rejection.allowed_instead, rejection.ask) == (reason, instead, ask)
    return story.then_nothing()
