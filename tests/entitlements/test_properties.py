"""What holds for every account, member, add-on and moment, not just for the cases somebody thought of."""

from datetime import date, timedelta
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts.accounts import BillingFrequency, Licenses
from contracts.events import Person
from contracts.offers import AccountFacts
from contracts.results import Action, Reason
from services.entitlements.account import Entitlements, FeatureRequest, Member, rows_of
from services.entitlements.queries import add_ons_of
from services.entitlements.schedule import AddOnState, Quote, Subscription, Trial
from services.runtime.decision import Accepted, Cause, Decision, Rejected, State
from tests.entitlements.scenario import ACCOUNT, ADD_ON, CATALOG, DECIDER, NOW, SUBSCRIPTION, asks, purchase
from tests.entitlements.subscriptions import TERMS, TODAY

CAUSE = Cause("cause", "addons.Command.v1")
SEATS = st.sampled_from([0, 1, 100, 101, 10_000_000])

accounts = st.builds(
    AccountFacts,
    revision=st.just(1),
    status=st.sampled_from(["active", "active", "active", "suspended", "closed", "frozen"]),
    currency=st.sampled_from(["USD", "GBP", "CHF", "XXX"]),
    timezone=st.sampled_from(["UTC", "Europe/Paris"]),
    sales_managed=st.booleans(),
    payment_method_on_file=st.booleans(),
    licenses=st.builds(Licenses, standard=SEATS, additional=SEATS),
    frequency=st.sampled_from(BillingFrequency),
    cycle_anchor=st.just(date(2026, 1, 31)),
)
members = st.builds(
    Member,
    revision=st.just(1),
    role=st.sampled_from(["owner", "owner", "admin", "supervisor", "agent", "wizard", ""]),
    status=st.sampled_from(["active", "active", "removed"]),
)
OLGA = Person(user_id="olga", role="owner")
BOUGHT = Subscription(id=SUBSCRIPTION, begins_on=TODAY, terms=TERMS, terms_from=TODAY, licenses_from=TODAY)
instants = st.integers(-6, 14).map(lambda days: NOW + timedelta(days=days))
trials = st.builds(
    Trial, started_by=st.just(OLGA), started_at=st.just(NOW), ends_at=instants, ended_at=st.none() | st.just(NOW)
)
quotes = st.builds(Quote, id=st.just("q-1"), requested_by=st.just(OLGA), expires_at=instants)


@st.composite
def add_on_states(draw: st.DrawFn) -> AddOnState:
    """Draw what an account may have of an add-on."""
    return AddOnState(
        subscription=draw(st.none() | st.just(BOUGHT)), trial=draw(st.none() | trials), quote=draw(st.none() | quotes)
    )


@st.composite
def states(draw: st.DrawFn, account: Any = accounts, who: Any = members) -> State[Entitlements]:
    """Draw an account, its one member and what both have of the add-on."""
    has = draw(st.none() | add_on_states())
    document = Entitlements(account=draw(account), add_ons={} if has is None else {ADD_ON: has})
    requested = draw(st.none() | st.just(FeatureRequest(requested_at=NOW, round=0)))
    member_row, request_row = rows_of("me", ADD_ON)
    return State(ACCOUNT, document, {member_row: draw(who), request_row: requested})


def decide(state: State[Entitlements], action: Action) -> Decision:
    """Decide the plain command behind an action."""
    return DECIDER.decide(state, asks(action, "me"), CAUSE, NOW)


def reason_of(decision: Decision) -> Reason | None:
    """Return why a command was refused, or None."""
    return decision.reason if isinstance(decision, Rejected) else None


@settings(max_examples=300, deadline=None)
@given(states(account=st.none() | accounts, who=st.none() | members), st.sampled_from(Action))
def test_an_action_is_offered_iff_it_would_be_accepted(state: State[Entitlements], asked: Action) -> None:
    """allowed_instead and open_actions hold an action exactly when its plain command would be accepted."""
    accepted = tuple(action for action in Action if isinstance(decide(state, action), Accepted))
    decision = decide(state, asked)

    assert DECIDER.open_actions(state, "me", ADD_ON, NOW) == accepted
    if isinstance(decision, Rejected):
        assert decision.allowed_instead == accepted


@settings(max_examples=300, deadline=None)
@given(states(account=st.none() | accounts, who=st.none() | members))
def test_an_action_is_shown_as_open_iff_it_would_be_accepted(state: State[Entitlements]) -> None:
    """The view of a member shows an action as open exactly when its command would be accepted, else with its refusal.

    Whoever the command refuses for who they are, whatever the action, is shown nothing.
    """
    everything = {name: None for add_on in CATALOG.add_ons for name in rows_of("me", add_on)} | dict(state.rows)
    shown = add_ons_of(state._replace(rows=everything), CATALOG, "me", NOW)
    decisions = {action: decide(state, action) for action in Action}
    if isinstance(shown, Rejected):
        assert {reason_of(each) for each in decisions.values()} == {shown.reason}
        return
    (ours,) = (each for each in shown.add_ons if each.add_on == ADD_ON)
    for each in ours.actions:
        decision = decisions[each.action]
        assert each.open == isinstance(decision, Accepted)
        if isinstance(decision, Rejected):
            assert (each.reason, each.message, each.ask) == (decision.reason, decision.message, decision.ask)


@settings(max_examples=300, deadline=None)
@given(states(who=st.just(Member(revision=1, role="owner", status="active"))))
def test_an_owner_has_exactly_one_way_to_an_add_on(state: State[Entitlements]) -> None:
    """Exactly one of subscribe and quote is open to an Owner of an active account that has not purchased.

    Subscribe is open when it is accepted, or but for a payment method would be. A quote is open when it is accepted, or
    is pending and a purchase is refused for it. At most one of the two is accepted, and one is when nothing is missing.
    """
    account, has = state.document.account, state.document.add_ons.get(ADD_ON, AddOnState())
    assume(account is not None and account.status == "active" and has.subscription is None)
    buying, quoting = decide(state, Action.SUBSCRIBE_NOW), decide(state, Action.REQUEST_QUOTE)

    subscribe_is_open = reason_of(buying) in {None, Reason.PAYMENT_METHOD_REQUIRED}
    quote_is_open = reason_of(quoting) is None or reason_of(buying) is Reason.QUOTE_PENDING
    accepted = isinstance(buying, Accepted) + isinstance(quoting, Accepted)

    assert subscribe_is_open != quote_is_open
    assert accepted <= 1
    if account is not None and account.payment_method_on_file and has.open_quote(NOW) is None:
        assert accepted == 1


@settings(max_examples=100, deadline=None)
@given(states(), st.sampled_from(["owner", "admin", "supervisor", "agent"]))
def test_a_claimed_role_changes_no_decision(state: State[Entitlements], claimed: str) -> None:
    """A command with a role, or a member's status, in it is decided as the same command without."""
    plain, claiming = purchase("me"), purchase("me", role=claimed, status="active", sales_managed=False)
    assert DECIDER.decide(state, claiming, CAUSE, NOW) == DECIDER.decide(state, plain, CAUSE, NOW)


@settings(max_examples=100, deadline=None)
@given(states(), st.sampled_from(Action), st.text(min_size=1, max_size=64))
def test_whatever_is_asked_is_answered(state: State[Entitlements], action: Action, add_on: str) -> None:
    """Any add-on id is a decision, never an exception, and none outside the catalog is accepted."""
    assume(add_on not in CATALOG.add_ons)
    rows = dict(zip(rows_of("me", add_on), state.rows.values(), strict=True))
    decision = DECIDER.decide(State(ACCOUNT, state.document, rows), asks(action, "me", add_on), CAUSE, NOW)
    assert isinstance(decision, Rejected)
    assert decision.allowed_instead == ()


@settings(max_examples=100, deadline=None)
@given(states(), st.sampled_from(Action))
def test_a_decision_taken_again_is_the_same(state: State[Entitlements], action: Action) -> None:
    """The same state, command, cause and moment give the same events, ids included."""
    assert decide(state, action) == decide(state, action)
