"""What staff see of an account is the fold of its log: what it has now, and everything that happened, newest first."""

from datetime import UTC, date, datetime, timedelta

from contracts.accounts import AccountUpdated, Billing, BillingFrequency, Licenses, MemberUpdated
from contracts.backoffice import CancelSubscription, EraseMember, Staff
from contracts.commands import RequestQuote, StartTrial
from contracts.envelope import Envelope
from contracts.events import (
    AddOnGranted,
    AddOnPurchased,
    FeatureDeclined,
    FeatureRequested,
    MemberErased,
    Person,
    QuoteRequested,
    SubscriptionCanceled,
    SubscriptionModified,
    Terms,
    TrialEnded,
    TrialStarted,
)
from contracts.payload import Payload
from contracts.results import CommandRejected, Reason
from contracts.topics import topic_of
from services.dashboard.history import WORDS
from services.dashboard.log import HISTORY, Entry
from services.dashboard.standing import HISTORY_MAX, standing_of
from tests.dashboard.shown import usd

NOW = datetime(2026, 9, 30, 10, tzinfo=UTC)
OLIVIA = Person(user_id="olivia", role="owner", name="Olivia")
MARA = Staff(staff_id="mara", reason="as agreed")
TERMS = Terms(
    price_version="2026-01",
    unit_price=usd(1795),
    frequency=BillingFrequency.MONTHLY,
    licenses=Licenses(standard=5),
    currency="USD",
    timezone="UTC",
    cycle_anchor=date(2026, 9, 20),
)
ABOUT = {"account_id": "acme", "add_on": "a"}
QUOTE = QuoteRequested(**ABOUT, quote_id="q", requested_by=OLIVIA, requested_at=NOW, licenses=Licenses(standard=5))
BOUGHT = AddOnPurchased(
    **ABOUT,
    subscription_id="s",
    purchased_by=OLIVIA,
    purchased_at=NOW,
    effective_date=NOW.date(),
    terms=TERMS,
    origin="quote",
    by=MARA,
)


CANCELED = SubscriptionCanceled(
    **ABOUT, subscription_id="s", canceled_at=NOW, effective_date=date(2026, 10, 20), cause="back_office"
)
ACCOUNT = AccountUpdated(
    account_id="acme",
    revision=2,
    name="Acme",
    status="active",
    currency="USD",
    timezone="UTC",
    sales_managed=False,
    payment_method_on_file=True,
    licenses=Licenses(standard=5),
    billing=Billing(frequency=BillingFrequency.MONTHLY, cycle_anchor=date(2026, 9, 20)),
)


def log(*said: Payload) -> list[Entry]:
    """Return messages as the log has them, a minute apart."""
    return [
        Entry(
            topic_of(type(each)),
            Envelope(f"e{n}", "/x", each.ce_type, None, "acme", None, None, None, None, each),
            (NOW + timedelta(minutes=n)).isoformat(),
        )
        for n, each in enumerate(said)
    ]


def test_a_purchase_closes_the_quote() -> None:
    """A quote is open until it is sold; what was changed since is what the subscription is."""
    assert standing_of(log(QUOTE), {}, NOW).held("a").quote == QUOTE
    modified = SubscriptionModified(
        **ABOUT,
        subscription_id="s",
        modified_at=NOW,
        licenses=Licenses(standard=9),
        licenses_from=NOW.date(),
        terms=TERMS,
        terms_from=date(2026, 10, 20),
        cause="back_office",
        by=MARA,
    )
    held = standing_of(log(QUOTE, BOUGHT, modified), {}, NOW).held("a")
    assert held.quote is None
    assert held.subscription is not None
    assert (held.subscription.terms.licenses.standard, held.subscription.ends_on) == (9, None)


def test_a_canceled_subscription_has_an_end() -> None:
    """What is canceled ends on its day; a message of another subscription changes nothing."""
    other = CANCELED.model_copy(update={"subscription_id": "older", "effective_date": date(2026, 1, 1)})
    held = standing_of(log(BOUGHT, CANCELED, other), {}, NOW).held("a")
    assert held.subscription is not None
    assert held.subscription.ends_on == date(2026, 10, 20)


def test_what_is_over_is_not_held_and_a_later_quote_is() -> None:
    """On the first local day without it a subscription is none, nor is a gift; a quote asked for since is open."""
    granted = AddOnGranted(**ABOUT, until=date(2026, 10, 20), granted_at=NOW, by=MARA)
    east = ACCOUNT.model_copy(update={"timezone": "Pacific/Kiritimati"})  # 14 hours ahead
    said = log(east, BOUGHT, CANCELED, granted, QUOTE)
    first_moment = datetime(2026, 10, 19, 10, tzinfo=UTC)
    before = standing_of(said, {}, first_moment - timedelta(seconds=1)).held("a")
    assert before.subscription is not None
    assert before.granted_until == date(2026, 10, 20)
    after = standing_of(said, {}, first_moment).held("a")
    assert (after.subscription, after.granted_until, after.quote) == (None, None, QUOTE)


def test_people_are_counted_who_ask_until_they_are_answered() -> None:
    """Who asks twice is one, and a decline answers everybody who asked before it."""
    asked = FeatureRequested(**ABOUT, requested_by=OLIVIA, requested_at=NOW)
    sam = asked.model_copy(update={"requested_by": Person(user_id="sam", role="admin")})
    declined = FeatureDeclined(**ABOUT, declined_by=OLIVIA, declined_at=NOW)
    assert standing_of(log(asked, asked, sam), {}, NOW).held("a").requested_by == {"olivia", "sam"}
    assert standing_of(log(asked, sam, declined, sam), {}, NOW).held("a").requested_by == {"sam"}


def test_who_was_erased_is_shown_by_their_id() -> None:
    """The log has name and words for ever: neither history nor an open quote shows them, from before or after."""
    fact = MemberUpdated(
        account_id="acme", revision=1, user_id="olivia", role="owner", status="removed", name="Olivia", email="o@acme"
    )
    quote = QUOTE.model_copy(update={"note": "Olivia asks"})
    said = [
        *(fact, RequestQuote(account_id="acme", user_id="olivia", add_on="a", note="Olivia asks"), quote),
        EraseMember(account_id="acme", user_id="olivia", staff_id="mara", reason="she asked us"),
        MemberErased(account_id="acme", user_id="olivia", erased_at=NOW, by=MARA),
        fact.model_copy(update={"revision": 2}),
    ]
    before, after = standing_of(log(*said[:3]), {}, NOW), standing_of(log(*said), {}, NOW)
    assert str(before).count("Olivia") > 5
    assert "Olivia" not in str(after)
    assert [(line.what, line.who, line.about) for line in after.history[1:3]] == [
        ("Member erased", "by mara (staff)", "olivia, as agreed"),
        ("Erasure of a member ordered", "by mara (staff)", "olivia, she asked us"),
    ]
    assert after.history[-2][1:] == ("Quote asked for", "by olivia", "a", False)
    assert after.held("a").quote is not None


def test_a_trial_runs_until_it_ends() -> None:
    """A trial is shown from its start to its end."""
    started = TrialStarted(**ABOUT, started_by=OLIVIA, started_at=NOW, ends_at=NOW + timedelta(days=14))
    assert standing_of(log(started), {}, NOW).held("a").trial_ends_at == NOW + timedelta(days=14)
    ended = TrialEnded(**ABOUT, ended_at=NOW, reason="expired")
    assert standing_of(log(started, ended), {}, NOW).held("a").trial_ends_at is None


def test_the_newest_revision_of_an_account_counts() -> None:
    """A stale fact that comes late changes nothing."""
    stale = ACCOUNT.model_copy(update={"revision": 1, "name": "Old"})
    standing = standing_of(log(ACCOUNT, stale), {}, NOW)
    assert standing.account == ACCOUNT


def test_the_history_says_who_and_why_newest_first() -> None:
    """Each line has who did it, by name, staff marked as such with their reason, and what was refused stands out."""
    sam = MemberUpdated(account_id="acme", revision=1, user_id="sam", role="supervisor", status="active", name="Sam")
    ordered = CancelSubscription(
        account_id="acme", staff_id="mara", reason="moves away", subscription_id="s", when="now"
    )
    refused = CommandRejected(
        account_id="acme",
        command_id="c",
        command_type="addons.StartTrial.v1",
        user_id="sam",
        reason=Reason.ROLE_NOT_PERMITTED,
        message="Ask an Owner.",
    )
    asked = StartTrial(**ABOUT, user_id="sam")
    standing = standing_of(log(sam, QUOTE, BOUGHT, ordered, asked, refused), {"a": "Analytics+"}, NOW)
    assert [(each.what, each.who, each.about) for each in standing.history] == [
        ("Refused", "", "Trial asked for by Sam: Ask an Owner."),
        ("Trial asked for", "by Sam", "Analytics+"),
        ("Cancellation ordered", "by mara (staff)", "moves away"),
        ("Purchased", "by mara (staff)", "Analytics+, as agreed"),
        ("Quote requested", "by Olivia", "Analytics+"),
        ("Member changed", "", "Sam, supervisor, active"),
    ]
    assert [each.refused for each in standing.history] == [True] + [False] * 5


def test_the_history_has_words_for_every_message() -> None:
    """No line of the history shows the name of a type."""
    types = {kind.__name__ for topic in HISTORY for kind in (*topic.payloads, *topic.refuses)}
    assert types - set(WORDS) == set()


def test_the_history_is_bounded() -> None:
    """However long the log, the page shows the newest part."""
    assert len(standing_of(log(*[QUOTE] * (HISTORY_MAX + 50)), {}, NOW).history) == HISTORY_MAX
