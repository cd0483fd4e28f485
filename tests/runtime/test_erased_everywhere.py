"""One erasure in all services: what entitlements says, heard by the others in any mixture with the facts."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.events import MemberErased
from contracts.payload import Payload
from services.billing.domain import BillingDecider
from services.notifications.domain import NotificationsDecider
from services.runtime.codec import to_json
from tests.entitlements.scenario import ACCOUNT, CATALOG, NOW, account, member, request
from tests.entitlements.test_erasure import ERASE, MARK, STEPS, fact, play
from tests.scenario import Scenario

FACTS = (AccountUpdated, MemberUpdated)
PEOPLE = ("owner", "admin", "supervisor", "agent")


class Heard(Scenario[Any]):
    """A service's story, and how much it had said when it heard of the erasure."""

    said_before: int | None = None

    def hear(self, facts: list[Payload], events: list[Payload], order: Any) -> None:
        """Hear facts, some of them twice, and events, each topic in its order, mixed in any way; hours pass between."""
        queues = [[each for each in facts for _ in range(order.choice((1, 1, 2)))], list(events)]
        while any(queues):
            message = order.choice([queue for queue in queues if queue]).pop(0)
            self.when(message)
            if isinstance(message, MemberErased):
                self.said_before = len(self.events)
            if order.random() < 0.2:
                self.advance(timedelta(hours=order.randint(1, 40)))


def stored(story: Scenario[Any]) -> str:
    """Return all that is stored of the account."""
    return to_json(story.document).decode() + b"".join(story._rows.values()).decode()


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=12), st.lists(STEPS, max_size=6), st.randoms(use_true_random=False))
def test_no_service_keeps_or_says_who_was_erased(before: list[Any], after: list[Any], order: Any) -> None:
    """Once a service has heard it, no stored byte and no later record of any has name, address, locale or note."""
    asked = [fact(9, "admin"), request("owner", note=MARK), fact(10)]
    steps = [*asked, *before, fact(30, is_removed=True), ERASE, *after, fact(40)]
    entitlements, _ = play(steps)
    assert MARK not in stored(entitlements)
    facts: list[Payload] = [account(), *map(member, PEOPLE), *(each for each in steps if isinstance(each, FACTS))]
    for decider in (BillingDecider(), NotificationsDecider(CATALOG)):
        service = Heard(decider, ACCOUNT, NOW)
        service.hear(facts, entitlements.events, order)
        service.advance(timedelta(days=60))
        assert service.said_before is not None
        assert MARK not in stored(service)
        assert not [event for event in service.events[service.said_before :] if MARK in event.model_dump_json()]
