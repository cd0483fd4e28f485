"""What becomes of a form: its command is sent, the answer awaited and shown; in trouble it can be sent again."""

from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from contracts.payload import Payload
from contracts.results import CommandAccepted, CommandResult, CreditAccepted
from services.dashboard.cards import LABELS, Link, link_of, whom
from services.dashboard.commands import FormError, id_of, is_id, member_command, sent_as
from services.dashboard.locales import with_name_apart
from services.dashboard.sending import NotSent
from services.dashboard.shapes import AddOns
from services.dashboard.visits import Visit, go, page
from services.runtime.authentication import Kind

_DONE = {
    "PurchaseAddOn": ("{name} is yours", "Everybody in your account can use it now. The invoice follows in a moment."),
    "RequestQuote": ("Your request for a quote is on its way", "Your account manager answers it with an offer."),
    "StartTrial": ("Your free trial of {name} has begun", "Everybody in your account can use it now."),
    "RequestFeature": ("Your Owners are told", "They see your request for {name} with those of your colleagues."),
    "DeclineFeature": ("The requests for {name} are declined", "Those who asked are told."),
    "SnoozeFeature": ("The requests for {name} are snoozed", "You hear of them again on the day you chose."),
    "ChangeDigest": ("Your choice is saved", "Summaries of requests come as often as you chose."),
}
_LOOKS_AFTER_SECONDS = (2, 2, 4, 8, 15, 30)
_LOOKED = "looked"


class Look(NamedTuple):
    """When and where a page that has no answer yet looks for it again, and for the how manieth time."""

    number: int
    seconds: int
    address: str


class Outcome(NamedTuple):
    """The answer to a command, as a page says it."""

    accepted: bool
    title: str
    text: str
    ask: str | None = None
    instead: tuple[Link, ...] = ()


async def sent(visit: Visit) -> Response | None:
    """Send the command of a member's form and lead to its answer; None where the form is to be shown."""
    if visit.request.method != "POST" or visit.resumed:
        return None
    try:
        form_id = id_of(visit.form)
        command = member_command(visit.form, visit.account_id, visit.who.subject)
    except FormError as error:
        visit.wrong = error
        return None
    add_on = getattr(command, "add_on", "")
    command_id = sent_as(form_id, visit.account_id, visit.who.subject, add_on)
    return await carry_out(visit, command, command_id, f"/answers/{form_id}?{urlencode({'add_on': add_on})}")


async def carry_out(visit: Visit, command: Payload, command_id: str, then: str) -> Response:
    """Have a command decided and go to its answer; where Kafka did not say that it has it, keep it for another try."""
    try:
        await visit.desk.ask(command, command_id)
    except NotSent:
        fields = {name: text for name, text in visit.form.items() if name != "csrf"}
        return visit.page("try_again.html", HTTPStatus.SERVICE_UNAVAILABLE, fields=fields, then=then)
    return go(then)


@page(Kind.MEMBER)
async def answer(visit: Visit) -> Response:
    """Show the answer to a member's command, or that it is on its way."""
    add_on = visit.query("add_on")
    command_id = sent_as(visit.part("form_id"), visit.account_id, visit.who.subject, add_on)
    shown = await visit.add_ons()
    found = await visit.desk.find_answer(visit.account_id, command_id) if is_id(visit.part("form_id")) else None
    outcome = outcome_of(found, shown if isinstance(shown, AddOns) else None, add_on) if found else None
    return answer_page(visit, outcome, "/plan", shown)


def answer_page(visit: Visit, outcome: Outcome | None, back: str, shown: object = None) -> Response:
    """Return the page of an answer, or one that looks for it by itself: ever more seldom, for a minute."""
    url = visit.request.url.remove_query_params(_LOOKED)
    looked = visit.query(_LOOKED)
    number = int(looked) if looked.isascii() and looked.isdecimal() else 0
    look = None
    if outcome is None and number < len(_LOOKS_AFTER_SECONDS):
        next_url = url.include_query_params(**{_LOOKED: number + 1})
        look = Look(number + 1, _LOOKS_AFTER_SECONDS[number], f"{next_url.path}?{next_url.query}")
    look_again = f"{url.path}?{url.query}"
    return visit.page("answer.html", shown=shown, outcome=outcome, back=back, look=look, look_again=look_again)


def outcome_of(answer: CommandResult, shown: AddOns | None, add_on: str) -> Outcome:
    """Return what a page says of an answer. What the add-on is called comes from what the member sees."""
    found = shown.find(add_on) if shown is not None else None
    name = found.name if found is not None else "The add-on"

    def said(sentence: str) -> str:
        return with_name_apart(sentence, name)

    kind = answer.command_type.split(".")[1] if answer.command_type.count(".") > 1 else answer.command_type
    if isinstance(answer, CommandAccepted | CreditAccepted):
        title, text = _DONE.get(kind, ("Done", "It has taken effect."))
        return Outcome(accepted=True, title=said(title.format(name=name)), text=said(text.format(name=name)))
    instead: tuple[Link, ...] = ()
    if found is not None:
        instead = tuple(link_of(found, each, "plan_tab") for each in answer.allowed_instead if each in LABELS)
    ask = whom(answer.ask, answer.message)
    return Outcome(accepted=False, title="This was not done", text=said(answer.message), ask=ask, instead=instead)
