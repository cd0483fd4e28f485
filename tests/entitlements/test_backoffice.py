"""What staff may do to a subscription or grant, what is refused, and that no member may."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from contracts.accounts import Billing, BillingFrequency, Licenses
from contracts.backoffice import (
    CancelSubscription,
    GrantAddOn,
    ModifySubscription,
)
from contracts.events import AddOnGranted, AddOnPurchased, SubscriptionCanceled, SubscriptionModified
from contracts.results import Reason
from services.runtime.decision import Accepted
from tests.entitlements.scenario import (
    ACCOUNT,
    ADD_ON,
    NOW,
    STAFF,
    SUBSCRIPTION,
    account,
    acme,
    dollars,
    having,
    purchase,
    staff,
    subscribed,
    then_refused,
)

TODAY, NEXT = date(2026, 9, 30), date(2026, 10, 20)
TEN, SEVENTY = Licenses(standard=10), Licenses(standard=70)
ANNUAL = Billing(frequency=BillingFrequency.ANNUAL, cycle_anchor=date(2026, 1, 20))


def modify(**wanted: Any) -> ModifySubscription:
    """Return staff's change of the subscription."""
    return staff(ModifySubscription, **{"subscription_id": SUBSCRIPTION, **wanted})


def cancel(when: str = "now", subscription_id: str = SUBSCRIPTION) -> CancelSubscription:
    """Return staff's end of the subscription."""
    return staff(CancelSubscription, subscription_id=subscription_id, when=when)


def change(*wanted: dict[str, Any], **changes: Any) -> SubscriptionModified:
    """Return what the last of these changes, one after another, came to."""
    story = subscribed(**changes)
    for each in wanted:
        story.when(modify(**each), cause_id="order")
        assert isinstance(story.decision, Accepted), story.decision
    (modified,) = story.emitted
    assert isinstance(modified, SubscriptionModified)
    assert (modified.cause, modified.by, modified.modified_at) == ("back_office", STAFF, NOW)
    return modified


# -------------------------------------------------------------------------------------------------------------- modify


def test_seats_that_staff_set_count_from_today() -> None:
    """ModifySubscription(licenses) counts from today on, changes nothing else, and says that it follows no more."""
    modified = change({"licenses": TEN})
    assert (modified.licenses, modified.licenses_from, modified.terms_from) == (TEN, TODAY, NEXT)
    assert (modified.terms.licenses, modified.terms.unit_price) == (TEN, dollars(1795))
    assert not modified.follows_account


def test_seats_that_staff_set_do_not_follow_the_account() -> None:
    """Until follow_account: then they are the account's at once, and follow again."""
    story = having(subscribed(), modify(licenses=TEN))
    story.when(account(2, licenses=SEVENTY)).then_nothing()
    (followed,) = story.when(modify(follow_account=True)).emitted_of(SubscriptionModified)
    assert (followed.licenses, followed.follows_account) == (SEVENTY, True)
    (again,) = story.when(account(3)).emitted_of(SubscriptionModified)
    assert (again.licenses, again.follows_account) == (Licenses(standard=50, additional=10), True)


def test_the_same_seats_may_be_pinned() -> None:
    """Seats as they are, stated by staff, are a change: they do not follow the account any more."""
    story = having(subscribed(), modify(licenses={"standard": 50, "additional": 10}))
    story.when(account(2, licenses=SEVENTY)).then_nothing()


def test_terms_of_an_account_follow_where_seats_do_not() -> None:
    """An override of the seats keeps nothing else from following, and says so."""
    (moved,) = having(subscribed(), modify(licenses=TEN)).when(account(2, billing=ANNUAL)).emitted
    assert isinstance(moved, SubscriptionModified)
    assert (moved.licenses, moved.terms.unit_price, moved.follows_account) == (TEN, dollars(17950), False)


def test_a_price_of_staffs_is_known_by_their_command() -> None:
    """A new unit price takes effect with the next period, and its version names the command."""
    modified = change({"unit_price": dollars(1500)})
    assert (modified.terms.unit_price, modified.terms.price_version) == (dollars(1500), "backoffice:order")
    assert modified.terms_from == NEXT


def test_another_frequency_takes_the_list_price() -> None:
    """Without a price of staff's own the catalog's is taken."""
    modified = change({"frequency": "annual"})
    assert (modified.terms.frequency, modified.terms.unit_price) == (BillingFrequency.ANNUAL, dollars(17950))
    assert modified.terms.price_version == "2026-01"


def test_staff_may_take_a_frequency_back() -> None:
    """Back to the frequency in force, before the change, the price in force is back too."""
    modified = change({"frequency": "annual", "unit_price": dollars(9900)}, {"frequency": "monthly"})
    assert (modified.terms.frequency, modified.terms.unit_price) == (BillingFrequency.MONTHLY, dollars(1795))


def test_a_next_period_is_counted_from_staffs_anchor() -> None:
    """The account's own anchor is taken again only when the account's changes."""
    story = subscribed()
    (modified,) = story.when(modify(cycle_anchor="2026-01-01")).emitted_of(SubscriptionModified)
    assert (modified.terms.cycle_anchor, modified.terms_from) == (date(2026, 1, 1), NEXT)
    (seats,) = story.when(account(2, licenses=SEVENTY)).emitted_of(SubscriptionModified)
    assert seats.terms.cycle_anchor == date(2026, 1, 1)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"follow_account": True},
        {"frequency": "monthly"},
        {"unit_price": dollars(1795)},
        {"cycle_anchor": "2026-01-20"},
        {"licenses": TEN, "follow_account": True},
        {"unit_price": dollars(-1)},
        {"unit_price": {"amount_minor": 1500, "currency": "EUR"}},
    ],
)
def test_a_change_that_is_none_or_cannot_be_is_refused(wanted: dict[str, Any]) -> None:
    """Nothing to change, two wishes at odds, and a price that is negative or in another currency are refused."""
    then_refused(subscribed().when(modify(**wanted)), Reason.CHANGE_NOT_ALLOWED)


def test_a_frequency_nobody_knows_a_price_for_is_refused() -> None:
    """Where the catalog has none, or staff set the price, staff state the price of another frequency."""
    then_refused(subscribed(currency="GBP").when(modify(frequency="annual")), Reason.CHANGE_NOT_ALLOWED)
    story = having(subscribed(), modify(unit_price=dollars(1500)))
    then_refused(story.when(modify(frequency="annual")), Reason.CHANGE_NOT_ALLOWED)
    (agreed,) = story.when(modify(frequency="annual", unit_price=dollars(15000))).emitted_of(SubscriptionModified)
    assert agreed.terms.unit_price == dollars(15000)


def test_what_is_canceled_is_not_modified() -> None:
    """Neither before its last day nor after it."""
    story = having(subscribed(), cancel("end_of_cycle"))
    then_refused(story.when(modify(licenses=TEN)), Reason.CHANGE_NOT_ALLOWED)
    story.now += timedelta(days=60)
    then_refused(story.when(modify(licenses=TEN)), Reason.CHANGE_NOT_ALLOWED)


# -------------------------------------------------------------------------------------------------------------- cancel


def canceled(effective_date: date) -> SubscriptionCanceled:
    """Return the end that staff gave the subscription."""
    return SubscriptionCanceled(
        account_id=ACCOUNT,
        add_on=ADD_ON,
        subscription_id=SUBSCRIPTION,
        canceled_at=NOW,
        effective_date=effective_date,
        cause="back_office",
        by=STAFF,
    )


def test_staff_cancel_with_the_period_or_now() -> None:
    """`effective_date` is the first day without it: the end of the current period, or today."""
    subscribed().when(cancel("end_of_cycle")).then(canceled(NEXT))
    subscribed().when(cancel("now")).then(canceled(TODAY))


def test_a_period_ends_where_announced_terms_begin() -> None:
    """The end of the cycle is that of the terms in force, whatever is announced."""
    having(subscribed(), modify(frequency="annual", cycle_anchor="2026-01-01")).when(cancel("end_of_cycle")).then(
        canceled(NEXT)
    )


def test_what_is_canceled_may_only_end_earlier() -> None:
    """Again is refused, but now before an end of the cycle that is still to come."""
    story = having(subscribed(), cancel("end_of_cycle"))
    then_refused(story.when(cancel("end_of_cycle")), Reason.CHANGE_NOT_ALLOWED)
    story.when(cancel("now")).then(canceled(TODAY))
    for when in ("now", "end_of_cycle"):
        then_refused(story.when(cancel(when)), Reason.CHANGE_NOT_ALLOWED)


def test_what_has_ended_is_not_canceled() -> None:
    """From its last day on there is nothing to end; once another has taken its place its id is unknown."""
    story = having(subscribed(), cancel("end_of_cycle"))
    story.now = datetime(2026, 10, 20, 4, tzinfo=UTC)
    then_refused(story.when(cancel("now")), Reason.CHANGE_NOT_ALLOWED)
    having(story, purchase())
    then_refused(story.when(cancel("now")), Reason.SUBSCRIPTION_UNKNOWN)


# --------------------------------------------------------------------------------------------------------------- grant


@pytest.mark.parametrize("until", [date(2026, 10, 1), TODAY + timedelta(days=366)])
def test_staff_grant_an_add_on(until: date) -> None:
    """AddOnGranted names its first day without, from tomorrow to a year ahead, and who acted."""
    story = acme().when(staff(GrantAddOn, until=until))
    story.then(AddOnGranted(account_id=ACCOUNT, add_on=ADD_ON, until=until, granted_at=NOW, by=STAFF))
    assert story.document.add_ons[ADD_ON].is_granted(until - timedelta(days=1))
    assert not story.document.add_ons[ADD_ON].is_granted(until)


@pytest.mark.parametrize("until", [TODAY, date.min, TODAY + timedelta(days=367), date.max])
def test_a_grant_lasts_a_day_to_a_year(until: date) -> None:
    """A day that is not after today, or more than a year ahead, is refused."""
    then_refused(acme().when(staff(GrantAddOn, until=until)), Reason.CHANGE_NOT_ALLOWED)


def test_a_grant_and_a_purchase() -> None:
    """What is purchased is not granted; what is granted may be purchased."""
    grant = staff(GrantAddOn, until="2026-12-31")
    then_refused(subscribed().when(grant), Reason.ALREADY_PURCHASED)
    assert having(acme(), grant).when(purchase()).emitted_of(AddOnPurchased)
