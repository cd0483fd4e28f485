"""The story that proves a deployment works: who does what, and what must come of it, as data. Plays nothing itself.

Two accounts of its own per run. Cedar buys by itself; Birch is looked after by an account manager.
"""

from datetime import datetime
from typing import Final

from contracts.commands import RequestQuote, StartTrial
from contracts.notices import Template
from contracts.topics import COMMANDS
from deploy.addonflow.messages import Outbound
from deploy.addonflow.script import AI, ANALYTICS, Cycle, Expected, Script, Step, Story

UNREADABLE: Final = b'{"account_id": \xff\xfe this was cut off'


def write(run: str, now: datetime) -> Story:
    """Write the story of one run; `now` is an aware instant, `run` a word that no other run has."""
    writer = Script(run, Cycle.around(now))
    steps = (
        _introduction(writer),
        _agent(writer),
        _requests(writer),
        _trial(writer),
        _digest(writer),
        _purchase(writer),
        _repetition(writer),
        _sales_managed(writer),
        _unreadable(writer),
    )
    return Story(frozenset({writer.cedar, writer.birch}), steps)


def _introduction(w: Script) -> Step:
    cedar = [("Olivia", "owner"), ("Adam", "admin"), ("Ana", "admin"), ("Sam", "supervisor"), ("Gil", "agent")]
    members = [w.member(w.cedar, name, role) for name, role in cedar]
    return Step(
        "The account system says who Cedar and Birch are: Birch is sales-managed",
        (
            w.account(w.cedar, "Cedar", sales_managed=False),
            *members,
            w.account(w.birch, "Birch", sales_managed=True),
            w.member(w.birch, "Bea", "owner"),
        ),
    )


def _agent(w: Script) -> Step:
    refused = w.rejected(
        "agent",
        "refused: his role may not, and he learns no price",
        reason="role_not_permitted",
        allowed_instead=[],
        silent_about=("17.95", "1795", "usd", "price"),
    )
    return Step("Gil, an agent, tries to buy Analytics+", (w.purchase("agent", "gil", ANALYTICS),), (refused,))


def _requests(w: Script) -> Step:
    people = (("sam", "supervisor"), ("adam", "admin"), ("ana", "admin"))
    asked = [
        w.event("FeatureRequested", f"recorded for {user}", where={"requested_by": {"user_id": user, "role": role}})
        for user, role in people
    ]
    first = w.notice(
        Template.FEATURE_REQUEST_FIRST,
        "Olivia, the Owner, is told at once, of the first request only",
        [{"user_id": "olivia", "email": "olivia@example.com"}],
        {"add_on": ANALYTICS},
        requested_by={"user_id": "sam", "role": "supervisor"},
        note="Call times per team, please",
    )
    return Step(
        "Sam, a supervisor, and the admins Adam and Ana request Analytics+",
        (
            w.feature("ask-sam", "sam", "Call times per team, please"),
            w.feature("ask-adam", "adam"),
            w.feature("ask-ana", "ana"),
        ),
        (*(w.accepted(f"ask-{user}", f"accepted for {user}") for user, _ in people), *asked, first),
    )


def _trial(w: Script) -> Step:
    return Step(
        "Adam starts a free trial of Aircall AI; Ana tries to start a second one",
        (w.trial("trial", "adam"), w.trial("trial-again", "ana")),
        (
            w.accepted("trial", "accepted for adam"),
            w.event("TrialStarted", "the trial runs", where={"add_on": AI}, started_by={"user_id": "adam"}),
            w.rejected("trial-again", "refused for ana: one trial runs already", reason="trial_active"),
        ),
    )


def _digest(w: Script) -> Step:
    digest = w.notice(
        Template.FEATURE_REQUEST_DIGEST,
        "Olivia gets one digest: three people, one supervisor and two admins",
        [{"user_id": "olivia"}],
        {"add_on": ANALYTICS},
        people=3,
        roles={"supervisor": 1, "admin": 2},
        new_requests=2,
    )
    return Step("Time passes until the digest is due", expects=(digest,), awaits_digest=True)


def _purchase(w: Script) -> Step:
    told = w.notice(
        Template.REQUESTED_ADD_ON_PURCHASED,
        "those who asked are told",
        [{"user_id": "sam"}, {"user_id": "adam"}, {"user_id": "ana"}],
        {"add_on": ANALYTICS},
    )
    return Step(
        "Olivia buys Analytics+ in the middle of the billing cycle",
        (w.purchase("buy", "olivia", ANALYTICS),),
        (
            w.accepted("buy", "accepted"),
            w.event(
                "AddOnPurchased",
                "sold at list price, for all seats",
                where={"add_on": ANALYTICS},
                effective_date=w.cycle.today.isoformat(),
                origin="self_service",
            ),
            *w.invoice(1, ANALYTICS),
            told,
        ),
    )


def _repetition(w: Script) -> Step:
    once_more = w.purchase("buy", "olivia", ANALYTICS)
    return Step(
        "The dashboard sends that same purchase twice more; then Olivia buys Analytics+ again",
        (once_more, once_more, w.purchase("buy-again", "olivia", ANALYTICS)),
        (
            w.rejected(
                "buy-again", "refused: Cedar has it; the repetitions changed nothing", reason="already_purchased"
            ),
            w.accepted("buy", "the purchase still has its one answer"),
        ),
    )


def _sales_managed(w: Script) -> Step:
    quote = RequestQuote(account_id=w.birch, user_id="bea", add_on=ANALYTICS, note="For the whole floor")
    return Step(
        "Bea, Owner of the sales-managed Birch, tries to buy Analytics+, then requests a quote",
        (w.purchase("birch-buy", "bea", ANALYTICS, w.birch), w.say("quote", quote)),
        (
            w.rejected(
                "birch-buy",
                "refused: she may request a quote instead",
                reason="quote_required",
                allowed_instead=["request_quote", "try_for_free"],
                ask="account_manager",
            ),
            w.accepted("quote", "the quote request is accepted"),
            w.event("QuoteRequested", "an offer is asked for", account=w.birch, where={"add_on": ANALYTICS}),
            w.notice(
                Template.QUOTE_REQUESTED,
                "Mara, the account manager, is told",
                [{"email": "mara@example.com"}],
                {"add_on": ANALYTICS},
                note="For the whole floor",
            ),
        ),
    )


def _unreadable(w: Script) -> Step:
    broken = Outbound(f"{w.run}-broken", COMMANDS, StartTrial.ce_type, w.cedar, UNREADABLE)
    set_aside = Expected(
        "the bytes are set aside as they came, with the reason",
        COMMANDS.dead_letters_of("entitlements"),
        {"attributes": {"ce_id": f"{w.run}-broken"}},
        {"value": UNREADABLE, "attributes": {"dlq_reason": "not_json", "dlq_service": "entitlements"}},
    )
    return Step(
        "Unreadable bytes come between a request of Sam's and Olivia's purchase of Aircall AI",
        (w.feature("before", "sam"), broken, w.purchase("after", "olivia", AI)),
        (
            w.rejected("before", "the one before is answered: Cedar has Analytics+", reason="already_purchased"),
            set_aside,
            w.accepted("after", "the one after is accepted"),
            w.event("TrialEnded", "the trial ends with the purchase", where={"add_on": AI}, reason="purchased"),
            w.event("AddOnPurchased", "sold at list price", where={"add_on": AI}, origin="self_service"),
            *w.invoice(2, AI),
        ),
    )
