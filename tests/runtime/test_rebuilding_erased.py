"""Made again from the log, which says for ever who erased members were, or from a backup: they end erased."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.backoffice import EraseMember
from contracts.catalog import Catalog
from contracts.events import MemberErased
from contracts.payload import Payload
from contracts.topics import COMMANDS, Kind, topic_of
from services.notifications.domain import NotificationsDecider
from services.runtime.codec import to_json
from services.runtime.decision import Cause, Decider
from services.runtime.delivery import Delivery, scope_of
from services.runtime.inputs import place_of
from services.runtime.rebuilt import Rebuilt
from tests.entitlements import scenario as entitled
from tests.entitlements import test_erasure as entitlements
from tests.notifications import messages as notified
from tests.notifications import test_erasure as notifications
from tests.runtime.lives import Life

MARK = entitlements.MARK
STORIES: dict[str, tuple[Decider[Any], list[Payload], list[Payload]]] = {
    "entitlements": (
        entitled.DECIDER,
        [
            entitled.account(),
            entitlements.fact(1),
            entitled.member("admin"),
            entitlements.fact(1),
            entitlements.fact(2),
        ],
        [
            entitled.trial(),
            entitled.quote(note=MARK),
            entitled.trial(add_on=entitled.CONVERTING),
            entitled.request("admin", note="plain"),
            entitlements.fact(5, is_removed=True),
            entitled.staff(EraseMember, user_id="owner"),
            entitled.trial("admin"),
        ],
    ),
    "notifications": (
        notified.story().decider,
        [notified.account(), notifications.marla("supervisor", 2)],
        [
            *map(notifications.by_marla, notifications.EVENTS[:4]),
            notified.owner(),  # who is told now, by a fact, what the events said
            *map(notifications.by_marla, notifications.EVENTS[4:7]),
            notifications.marla("supervisor", 5, active=False),
            notifications.ERASED,
            notified.asks("adam", note="adam's"),
        ],
    ),
}
NO_ADD_ONS = Catalog(self_service_seat_limit=1, add_ons={})
OTHERS: dict[str, Decider[Any]] = {
    "entitlements": entitled.UNLIKE,
    "notifications": NotificationsDecider(NO_ADD_ONS),
}
NEWER = {"entitlements": entitlements.fact(9), "notifications": notifications.marla("owner", 9)}


def lived(decider: Decider[Any], said: list[Payload]) -> Life:
    """Live through messages, each in a batch of its own, with timers as they come due."""
    life, sequence = Life(decider), 0
    for number, message in enumerate(said):
        topic = topic_of(type(message))
        sequence += topic.kind is Kind.STREAM
        of_stream = sequence if topic.kind is Kind.STREAM else None
        cause = Cause(f"m{number}", message.ce_type, "" if topic is COMMANDS else scope_of(topic))
        life.handle(life.sent(Delivery("acme", message, cause, topic, of_stream, f"m{number}")))
        life.fire()
    return life


def texts(account: Rebuilt[Any]) -> str:
    """Return all that is stored of a rebuilt account."""
    rows = (to_json(row).decode() for row in account.rows.values() if row is not None)
    return to_json(account.document).decode() + "".join(rows)


@pytest.mark.parametrize("service", STORIES)
def test_the_log_alone_ends_erased(service: str) -> None:
    """The log has name and words, and then the erasure: what comes of it is what is stored, without them."""
    decider, facts, then = STORIES[service]
    life = lived(decider, [*facts, *then, NEWER[service]])
    heard = [each.message for each in life.inputs]
    assert MARK in "".join(str(message) for message in heard if not isinstance(message, MemberErased))
    life.assert_rebuilt(life.rebuilt())
    assert MARK not in texts(life.rebuilt())


@pytest.mark.parametrize("service", STORIES)
def test_a_backup_from_before_and_the_log_since_end_erased(service: str) -> None:
    """What was kept before the erasure has the name; the log behind it erases it again, wherever the backup stood."""
    decider, facts, then = STORIES[service]
    life, kept = Life(decider), []
    for number in range(len(facts) + len(then)):
        part = lived(decider, [*facts, *then][:number])
        kept.append(part.kept())
    life = lived(decider, [*facts, *then, NEWER[service]])
    assert MARK in texts(kept[-2].start)
    for each in kept:
        restored = life.restored(each, inputs_from=each.inputs, said_from=each.said)
        assert restored.differences == []
        assert MARK not in texts(restored)
        assert restored.document == life.read()


IN_TURN = 500_000
OWNER_LAST = [IN_TURN] * 6 + [2 * IN_TURN] + [IN_TURN] * 13


@settings(max_examples=60, deadline=None)
@example(service="notifications", seconds=OWNER_LAST, is_other=True)  # what the Owner was told then had the name
@given(
    service=st.sampled_from(sorted(STORIES)),
    seconds=st.lists(st.integers(0, 2 * IN_TURN), min_size=20, max_size=20),
    is_other=st.booleans(),
)
def test_however_the_topics_are_mixed_it_ends_erased(service: str, seconds: list[int], is_other: bool) -> None:
    """Inputs that seem to be written before or after all else bring nobody back, in any mixture.

    Nor does what was said, where rules that are others today leave no order in which it would be said.
    """
    decider, facts, then = STORIES[service]
    life = lived(decider, [*facts, *then, NEWER[service]])
    life.decider = OTHERS[service] if is_other else decider
    for number, each in enumerate(life.inputs):
        written = each.origin.timestamp + (seconds[number % len(seconds)] - IN_TURN) * 1_000
        life.inputs[number] = each._replace(
            origin=SimpleNamespace(partition=0, offset=each.origin.offset, timestamp=written)
        )
    account = life.rebuilt()
    assert MARK not in texts(account) or is_still_to_be_handled(account, life)


def is_still_to_be_handled(account: Rebuilt[Any], life: Life) -> bool:
    """Whether the service reads the erasure again behind the rebuild, as something before it is to be said anew."""
    [erasure] = [each for each in life.inputs if isinstance(each.message, MemberErased)]
    left = account.unhandled.get(place_of(erasure))
    return left is not None and left <= erasure.origin.offset
