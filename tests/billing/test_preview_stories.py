"""Previews and the bill to come hold whatever has happened to the account: bought, ended, changed, tried, activated."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.backoffice import CancelSubscription
from contracts.commands import PurchaseAddOn
from contracts.events import AddOnPurchased
from contracts.invoices import InvoiceIssued, InvoiceKind, ProrationRule
from contracts.results import Reason
from services.billing.account import RENEWAL
from services.billing.charges import Charging
from services.billing.preview import Preview
from services.billing.queries import upcoming
from services.runtime.decision import Accepted, Rejected
from tests.billing.previewing import ACCOUNT
from tests.billing.stories import ADD_ONS, Step, Story, activating, facts, ordering, stating, steps

_AFTER = timedelta(days=2)  # wherever on earth the day begins
starts = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(facts, starts, st.sampled_from(ProrationRule), steps, st.timedeltas(timedelta(), timedelta(seconds=899)))
def test_what_is_previewed_is_what_happens(
    said: dict[str, Any], start: datetime, rule: ProrationRule, happened: list[Step], wait: timedelta
) -> None:
    """After each step a preview is the purchase's invoice or its refusal, and the bill to come is the next renewal."""
    story = Story(said, start, rule)
    for step in happened:
        story.wait(step.after, timers_fire=step.timers_fire)
        step.happens(story)
        for add_on in ADD_ONS:
            shown = story.previewed(add_on=add_on)
            if isinstance(shown, Preview):
                _is_charged(shown, story.copied(), wait)
            else:
                _is_refused(shown, story.copied(), add_on)
        _comes_next(story.copied())


def previewed(*happened: Callable[[Story], None]) -> Preview | Rejected:
    """Return the preview after these, an hour apart; what it says is what happens then."""
    story = Story({"timezone": "UTC"}, datetime(2026, 9, 30, tzinfo=UTC), ProrationRule.DAY)
    for happens in happened:
        story.wait(timedelta(hours=1))
        happens(story)
    shown = story.previewed()
    if isinstance(shown, Preview):
        _is_charged(shown, story.copied(), timedelta())
    else:
        _is_refused(shown, story.copied(), "analytics_plus")
    return shown


CANCEL = ordering(CancelSubscription, "analytics_plus", {"when": "now"})


def test_what_ended_before_it_began_can_be_bought() -> None:
    """A subscription that staff took back before its first day covers nothing: the add-on has a price again."""
    assert isinstance(previewed(activating("analytics_plus", 60, 1_000), CANCEL), Preview)


def test_what_is_to_begin_is_said_to_begin() -> None:
    """Of a subscription that lies ahead the refusal says when it begins, and not that it can be used."""
    shown = previewed(activating("analytics_plus", 60, 1_000))
    assert isinstance(shown, Rejected)
    assert shown.message == "Your account already has Analytics_Plus: it begins on 2026-11-29."


def test_the_days_of_the_subscription_before_it_are_not_sold_again() -> None:
    """Where today is again a day of the last one but one, which a move to the west makes it, nothing is sold."""
    story = (activating("analytics_plus", -5, 1_000), CANCEL, activating("analytics_plus", 60, 1_000), CANCEL)
    assert isinstance(previewed(*story, stating({"timezone": "America/New_York"})), Preview)
    shown = previewed(*story, stating({"timezone": "Pacific/Pago_Pago"}))
    assert isinstance(shown, Rejected)
    assert shown.reason is Reason.ALREADY_PURCHASED


def test_a_price_is_shown_before_there_is_a_payment_method() -> None:
    """What is missing for the purchase alone keeps nobody from looking at the price."""
    story = Story({"payment_method_on_file": False}, datetime(2026, 9, 30, 16, tzinfo=UTC), ProrationRule.DAY)
    assert isinstance(story.previewed(), Preview)
    story.command(PurchaseAddOn, add_on="analytics_plus")
    story.entitlements.then_rejected(Reason.PAYMENT_METHOD_REQUIRED)


def _is_refused(shown: Rejected, story: Story, add_on: str) -> None:
    """The purchase is refused for the same reason; of quotes that are pending billing does not know."""
    story.command(PurchaseAddOn, add_on=add_on)
    decision = story.entitlements.decision
    assert isinstance(decision, Rejected), shown
    reason = Reason.QUOTE_REQUIRED if decision.reason is Reason.QUOTE_PENDING else decision.reason
    assert reason is shown.reason
    assert reason is not Reason.ALREADY_PURCHASED or decision.message == shown.message


def _is_charged(shown: Preview, story: Story, wait: timedelta) -> None:
    """By its promise it is charged what was shown, a while later too, and the next bill is as it says."""
    assert shown.promise is not None
    story.wait(wait)
    story.command(PurchaseAddOn, add_on=shown.add_on, price_promise=shown.promise.token)
    assert isinstance(story.entitlements.decision, Accepted), story.entitlements.decision
    (event,) = story.entitlements.emitted_of(AddOnPurchased)
    invoice = story.billing.emitted[-1]
    assert isinstance(invoice, InvoiceIssued)
    (line,) = invoice.lines
    assert (line.amount, line.period, line.days, line.share) == (
        shown.today.amount,
        shown.today.period,
        shown.today.days,
        shown.today.share,
    )
    before = len(story.billing.events)
    story.wait(datetime.combine(shown.next_bill.date, datetime.min.time(), UTC) + _AFTER - story.billing.now)
    bill, amount, first = next(
        (each, line.amount, line.period.from_)
        for each in _renewals(story, before)
        for line in each.lines
        if line.subscription_id == event.subscription_id
    )
    assert (first, amount, bill.total) == (shown.next_bill.date, shown.next_bill.amount, shown.next_bill.total)


def _comes_next(story: Story) -> None:
    """The next renewal that is issued is the bill to come; where none comes nothing is shown."""
    shown = upcoming(story.billing.document, Charging(story.rule, 0, ACCOUNT, story.billing.now), {})
    due, before = story.billing.document.timers.get(RENEWAL), len(story.billing.events)
    assert (due is None) is (shown.date is None)
    if due is not None:
        story.billing.advance(max(timedelta(), due - story.billing.now))
        bill = _renewals(story, before)[0]
        assert (shown.date, shown.total) == (min(line.period.from_ for line in bill.lines), bill.total)
        assert [line.amount for line in shown.lines] == [line.amount for line in bill.lines]


def _renewals(story: Story, since: int) -> list[InvoiceIssued]:
    issued = [each for each in story.billing.events[since:] if isinstance(each, InvoiceIssued)]
    return [each for each in issued if each.kind is InvoiceKind.RENEWAL]
