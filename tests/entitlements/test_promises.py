"""Purchases with a price promise: charged as promised, or refused with what became different."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.accounts import Billing, BillingFrequency, Licenses
from contracts.backoffice import CancelSubscription
from contracts.catalog import Catalog
from contracts.events import AddOnPurchased, PromisedPrice
from contracts.invoices import ProrationRule
from contracts.money import Money
from contracts.promises import PromiseKeys
from contracts.results import Action, Reason
from services.entitlements.account import Entitlements
from services.entitlements.domain import EntitlementsDecider
from tests.entitlements.scenario import (
    ACCOUNT,
    CATALOG,
    account,
    having,
    member,
    purchase,
    refused,
    staff,
    then_refused,
    trial,
)
from tests.promising import AT, KEYS, TERMS, promise, token
from tests.scenario import Scenario, made


def acme(now: datetime = AT, catalog: Catalog = CATALOG, keys: PromiseKeys = KEYS) -> Scenario[Entitlements]:
    """Begin a story in a deployment that knows promises, with the account and its people."""
    story: Scenario[Entitlements] = Scenario(EntitlementsDecider(catalog, keys), ACCOUNT, now)
    return having(story, account(), *(member(role) for role in ("owner", "admin", "supervisor", "agent")))


def purchased(story: Scenario[Entitlements]) -> AddOnPurchased:
    """Return the purchase of the last step; AssertionError when there is none."""
    (event,) = story.emitted_of(AddOnPurchased)
    assert isinstance(event, AddOnPurchased)
    return event


def test_a_purchase_carries_what_was_promised() -> None:
    """The event has the promised day, terms, moment, rule and amount, and the promise itself."""
    text = token(rule=ProrationRule.SECOND)
    event = purchased(acme(AT + timedelta(minutes=5)).when(purchase(price_promise=text)))
    assert (event.effective_date, event.terms, event.promise) == (date(2026, 9, 30), TERMS, text)
    assert event.promised == PromisedPrice(
        promised_at=AT, rule="second", amount=Money(amount_minor=71_800, currency="USD")
    )
    assert event.purchased_at == AT + timedelta(minutes=5)


def test_a_purchase_without_a_promise_carries_none() -> None:
    """Promises are a buyer's choice: a purchase without one is on today's terms, from today on."""
    event = purchased(acme().when(purchase()))
    assert (event.promise, event.promised, event.effective_date) == (None, None, date(2026, 9, 30))


def test_a_promise_made_before_midnight_is_kept_after_it() -> None:
    """Midnight in the account's zone changes nothing: the promised day is the first that is billed."""
    before = datetime(2026, 10, 1, 3, 55, tzinfo=UTC)  # 23:55 on 30 September in New York
    story = acme(before + timedelta(minutes=10), _one_price())
    promised = token(promised_at=before, expires_at=before + timedelta(minutes=15))
    event = purchased(story.when(purchase(price_promise=promised)))
    assert event.effective_date == date(2026, 9, 30)
    without = purchased(acme(before + timedelta(minutes=10), _one_price()).when(purchase()))
    assert without.effective_date == date(2026, 10, 1)


def _one_price() -> Catalog:
    text = CATALOG.model_dump(mode="json")
    del text["add_ons"]["analytics_plus"]["prices"][1:]
    return Catalog.model_validate(text)


def test_a_promise_ends_a_trial_like_any_purchase() -> None:
    """A trial that runs ends with a purchase by promise, at the moment of the purchase."""
    story = acme().given(trial()).when(purchase(price_promise=token()))
    assert [type(event).__name__ for event in story.emitted] == ["TrialEnded", "AddOnPurchased"]


@pytest.mark.parametrize(
    "text",
    [
        "signed",
        token(account_id="globex"),
        token(add_on="aircall_ai"),
        token(keys=PromiseKeys.load("another secret that is as long as a secret has to be")),
        token()[:-1],
        token() + "x",
    ],
)
def test_what_is_no_promise_of_ours_is_refused(text: str) -> None:
    """A foreign, forged or malformed promise is promise_invalid, and buying without one is open."""
    story = acme().when(purchase(price_promise=text, expected={"amount_minor": 1, "currency": "USD"}))
    then_refused(story, Reason.PROMISE_INVALID, Action.SUBSCRIBE_NOW, Action.TRY_FOR_FREE)
    assert refused(story).message == (
        "This is no price promise of ours to your account for Analytics+: look at the price again and subscribe."
    )


def test_without_keys_every_promise_is_invalid() -> None:
    """A deployment that shares no secret with billing keeps no promise, and says so."""
    story = acme(keys=PromiseKeys()).when(purchase(price_promise=token()))
    then_refused(story, Reason.PROMISE_INVALID, Action.SUBSCRIBE_NOW, Action.TRY_FOR_FREE)


@pytest.mark.parametrize(("seconds", "holds"), [(899, True), (900, False), (901, False)])
def test_a_promise_holds_until_it_expires(seconds: int, holds: bool) -> None:
    """Up to the instant at which it expires a promise is kept, from then on it is price_changed."""
    story = acme(AT + timedelta(seconds=seconds)).when(purchase(price_promise=token()))
    if holds:
        assert purchased(story).promise == token()
    else:
        then_refused(story, Reason.PRICE_CHANGED, Action.SUBSCRIBE_NOW, Action.TRY_FOR_FREE)
        assert refused(story).message == (
            "The price promise for Analytics+ does not hold any more, as it expired at 2026-09-30 16:15 UTC. The price "
            "is still 1077.00 USD per billing cycle: check it and subscribe again."
        )


MORE = {"licenses": Licenses(standard=50, additional=11)}
BILLING = Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=date(2026, 1, 20))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            MORE,
            (
                "as the number of seats changed. The price is now 1094.95 USD per billing cycle, 17.95 USD more than "
                "the 1077.00 USD you were shown"
            ),
        ),
        (
            {"licenses": Licenses(standard=60)},
            "as the number of seats changed. The price is still 1077.00 USD per billing cycle",
        ),
        (
            {"currency": "JPY"},
            (
                "as the list price changed and your currency changed. The price is now 159000 JPY per billing cycle, "
                "not 1077.00 USD"
            ),
        ),
        (
            {"billing": BILLING.model_copy(update={"frequency": BillingFrequency.ANNUAL})},
            (
                "as the list price changed and your billing frequency changed. The price is now 10770.00 USD per "
                "billing cycle, 9693.00 USD more than the 1077.00 USD you were shown"
            ),
        ),
        (
            {"billing": BILLING.model_copy(update={"cycle_anchor": date(2026, 1, 21)})},
            "as your billing cycle changed. The price is still 1077.00 USD per billing cycle",
        ),
        (
            {"timezone": "Europe/Berlin"},
            "as your time zone changed. The price is still 1077.00 USD per billing cycle",
        ),
    ],
)
def test_what_changed_since_is_told(changes: Mapping[str, Any], sentence: str) -> None:
    """Whatever the charge depends on, when it is not as promised the purchase is price_changed with the difference."""
    story = acme().given(account(2, **changes)).when(purchase(price_promise=token()))
    then_refused(story, Reason.PRICE_CHANGED, Action.SUBSCRIBE_NOW, Action.TRY_FOR_FREE)
    assert refused(story).message == (
        f"The price promise for Analytics+ does not hold any more, {sentence}: check it and subscribe again."
    )


def test_a_new_price_list_changes_the_price() -> None:
    """A promise made before the UTC day of a new price list is not kept on that day."""
    before = datetime(2026, 9, 30, 23, 55, tzinfo=UTC)
    made = token(promised_at=before, expires_at=before + timedelta(minutes=15))
    story = acme(before + timedelta(minutes=6)).when(purchase(price_promise=made))
    assert "as the list price changed and there is a new price list" in refused(story).message
    assert "1197.00 USD per billing cycle, 120.00 USD more than the 1077.00 USD" in refused(story).message


def test_what_is_refused_without_a_promise_is_refused_with_one() -> None:
    """A promise opens nothing: role, status, payment method and quotes are looked at before it."""
    with_promise = purchase(price_promise=token())
    acme().when(purchase("admin", price_promise=token())).then_rejected(Reason.ROLE_NOT_PERMITTED)
    acme().given(account(2, status="suspended")).when(with_promise).then_rejected(Reason.ACCOUNT_NOT_ACTIVE)
    acme().given(account(2, payment_method_on_file=False)).when(with_promise).then_rejected(
        Reason.PAYMENT_METHOD_REQUIRED
    )
    acme().given(account(2, sales_managed=True)).when(with_promise).then_rejected(Reason.QUOTE_REQUIRED)
    acme().given(purchase()).when(with_promise).then_rejected(Reason.ALREADY_PURCHASED)


def test_what_the_buyer_expects_is_checked_beside_a_promise() -> None:
    """A purchase with a good promise and another expected price is refused: the buyer was shown two prices."""
    story = acme().when(purchase(price_promise=token(), expected={"amount_minor": 97_700, "currency": "USD"}))
    then_refused(story, Reason.PRICE_CHANGED, Action.SUBSCRIBE_NOW, Action.TRY_FOR_FREE)
    assert "100.00 USD more than the 977.00 USD you were shown" in refused(story).message


def test_no_day_is_promised_twice() -> None:
    """A promise whose day an earlier subscription covered is not kept: no local day belongs to two subscriptions."""
    before = datetime(2026, 10, 1, 3, 55, tzinfo=UTC)
    story = acme(before, _one_price())
    having(story.when(purchase(), cause_id="buy"))
    story.now = before + timedelta(minutes=6)
    having(story, staff(CancelSubscription, subscription_id=made("subscription", "buy", before), when="now"))
    promised = promise(promised_at=before, expires_at=before + timedelta(minutes=15))
    story.when(purchase(price_promise=token(promised)))
    assert "as 2026-09-30 is paid already" in refused(story).message
    assert purchased(story.when(purchase())).effective_date == date(2026, 10, 1)


@pytest.mark.parametrize("behind", [timedelta(seconds=1), timedelta(days=30)])
def test_a_promise_of_a_day_that_has_not_come_is_not_kept(behind: timedelta) -> None:
    """Where the clock of entitlements is behind billing's, no purchase begins after the day on which it is made."""
    midnight = datetime(2026, 10, 1, 4, tzinfo=UTC)  # in New York
    made = token(first_day=date(2026, 10, 1), promised_at=midnight, expires_at=midnight + timedelta(minutes=15))
    story = acme(midnight - behind, _one_price()).when(purchase(price_promise=made))
    then_refused(story, Reason.PRICE_CHANGED, Action.SUBSCRIBE_NOW, Action.TRY_FOR_FREE)
    assert "any more, as 2026-10-01 has not begun yet. The price is still" in refused(story).message
    assert purchased(acme(midnight, _one_price()).when(purchase(price_promise=made))).effective_date == date(
        2026, 10, 1
    )
