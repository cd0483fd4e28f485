"""Each invariant is seen to name a history that breaks it, and to hold where nothing is broken."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from contracts.topics import BILLING, COMMANDS, EVENTS, NOTIFICATIONS, RESULTS, Topic
from tests.chaos.campaign.history import Operation
from tests.chaos.checker import sound
from tests.chaos.checker.ends import decided_otherwise
from tests.chaos.checker.evidence import Access, Evidence, StoredShard
from tests.chaos.checker.invariants import INVARIANTS, violations
from tests.chaos.checker.oracle import expected_minor
from tests.e2e.records import Record

Break = Callable[[Evidence], None]


def rewrite(topic: Topic, place: int, **data: Any) -> Break:
    """Let a record of a topic say otherwise, in the outbox too."""

    def apply(evidence: Evidence) -> None:
        old = evidence.topics[topic.name][place]
        new = old.with_(value=json.dumps(old.data | data).encode())
        put(evidence, topic, place, replace(new, offset=old.offset))
        evidence.shards = [
            replace(shard, outbox=tuple(new if each.content == old.content else each for each in shard.outbox))
            for shard in evidence.shards
        ]

    return apply


def put(evidence: Evidence, topic: Topic, place: int, record: Record) -> None:
    """Put a record in another's place."""
    evidence.topics[topic.name][place] = record


def add(evidence: Evidence, topic: Topic, record: Record, *, committed: bool = True) -> None:
    """Write one more record behind the others, perhaps without its commit."""
    records = evidence.topics[topic.name]
    records.append(replace(record, partition=0, offset=len(records)))
    if committed:
        evidence.shards = [
            replace(shard, outbox=(*shard.outbox, records[-1])) if shard.service == topic.writer else shard
            for shard in evidence.shards
        ]


def answered_twice(evidence: Evidence) -> None:
    """Answer a command once more."""
    add(evidence, RESULTS, sound.answer(RESULTS, "CommandRejected", "r-9", 3, "c-2"))


def never_answered(evidence: Evidence) -> None:
    """Send a command that nobody answers; that makes what was received too much as well."""
    add(evidence, COMMANDS, sound.said(COMMANDS, "StartTrial", "c-9"), committed=False)


def answered_unasked(evidence: Evidence) -> None:
    """Answer a command that nobody sent."""
    add(evidence, RESULTS, sound.answer(RESULTS, "CommandRejected", "r-9", 3, "c-9"))


def told_otherwise(evidence: Evidence) -> None:
    """Tell over HTTP that a command was accepted whose answer refuses it."""
    told = {"topic": COMMANDS.name, "account": sound.ACCOUNT, "id": "c-2"}
    evidence.operations[9] = Operation(9, "http", told, "ok", {"http": 200, "accepted": True})


def lost_by_the_broker(evidence: Evidence) -> None:
    """Acknowledge a record that is nowhere."""
    evidence.operations[9] = sound.acknowledged(9, COMMANDS, "c-1", 7)


def a_good_record_set_aside(evidence: Evidence) -> None:
    """Set a fact aside that could be read."""
    record = evidence.topics[EVENTS.name][1]
    letter = record.but(dlq_topic="chaos." + EVENTS.name, dlq_partition="0", dlq_offset="1", dlq_service="billing")
    evidence.letters[EVENTS.dead_letters_of("billing")] = [letter.but(dlq_reason="data_invalid")]


def poison_not_set_aside(evidence: Evidence) -> None:
    """Let a service pass over a record that cannot be read."""
    evidence.operations[9] = sound.acknowledged(9, EVENTS, "e-2", 1, "poison", "no JSON")


def two_contents(evidence: Evidence) -> None:
    """Publish an invoice again, with another content."""
    again = evidence.topics[BILLING.name][0]
    add(evidence, BILLING, again.with_(value=json.dumps(again.data | {"kind": "renewal"}).encode()), committed=False)


def published_out_of_order(evidence: Evidence) -> None:
    """Publish the second invoice before the first."""
    first, second, *rest = evidence.topics[BILLING.name]
    evidence.topics[BILLING.name] = [replace(second, offset=0), replace(first, offset=1), *rest]


def published_and_not_committed(evidence: Evidence) -> None:
    """Publish an event that is in no outbox."""
    add(evidence, EVENTS, sound.said(EVENTS, "TrialEnded", "e-9", 3, "timer", add_on="plus"), committed=False)


def never_published(evidence: Evidence) -> None:
    """Commit a notice that is in no topic."""
    notice = sound.said(NOTIFICATIONS, "NotificationRequested", "n-1", 1)
    evidence.shards.append(StoredShard("notifications", 1, (replace(notice, partition=1, offset=0),), inbox=0))


def written_by_another(evidence: Evidence) -> None:
    """Have billing's invoice come from somebody else."""
    old = evidence.topics[BILLING.name][0]
    new = replace(old.but(ce_source="/mallory"), offset=old.offset)
    put(evidence, BILLING, 0, new)
    evidence.shards = [
        replace(shard, outbox=tuple(new if each.content == old.content else each for each in shard.outbox))
        for shard in evidence.shards
    ]


def sold_twice(evidence: Evidence) -> None:
    """Sell the add-on again."""
    said = {"add_on": "plus", "subscription_id": "s-2", "effective_date": "2026-10-30", "terms": sound.TERMS}
    add(evidence, EVENTS, sound.said(EVENTS, "AddOnPurchased", "e-9", 3, "fact", **said))


def charged_twice_for_a_cycle(evidence: Evidence) -> None:
    """Issue the renewal again under another number."""
    add(evidence, BILLING, sound.invoice(5, "renewal", sound.line(3_590, 2, 30, "2026-11-20")))


def amount(minor: int) -> dict[str, Any]:
    """Return an amount in USD."""
    return {"amount_minor": minor, "currency": "USD"}


def setting(**fields: Any) -> Break:
    """Let fields of the evidence be others."""

    def apply(evidence: Evidence) -> None:
        for name, value in fields.items():
            setattr(evidence, name, value)

    return apply


def shard_with(**fields: Any) -> Break:
    """Let a stored shard be otherwise."""

    def apply(evidence: Evidence) -> None:
        evidence.shards[0] = replace(evidence.shards[0], **fields)

    return apply


BROKEN: list[tuple[str, Break]] = [
    ("one_outcome_per_command", answered_twice),
    ("one_outcome_per_command", never_answered),
    ("one_outcome_per_command", answered_unasked),
    ("one_outcome_per_command", told_otherwise),
    ("acknowledged_is_kept", lost_by_the_broker),
    ("one_effect_per_command", rewrite(RESULTS, 0, events=[])),
    ("one_effect_per_command", sold_twice),
    ("everything_received_is_accounted_for", never_answered),
    ("everything_received_is_accounted_for", a_good_record_set_aside),
    ("everything_received_is_accounted_for", poison_not_set_aside),
    ("one_payload_per_id", two_contents),
    ("sequences_without_a_gap", published_out_of_order),
    ("published_is_committed", published_and_not_committed),
    ("committed_is_published", never_published),
    ("committed_is_published", published_out_of_order),
    ("one_writer_per_topic", written_by_another),
    ("invoices_are_their_lines", rewrite(BILLING, 0, total=amount(1_196))),
    ("invoices_are_their_lines", rewrite(BILLING, 0, lines=[sound.line(1_196, 1, 20, "2026-10-20")])),
    ("invoices_are_their_lines", rewrite(BILLING, 0, currency="EUR")),
    ("invoice_numbers_without_a_gap", rewrite(BILLING, 1, invoice_number="acme-000007")),
    ("subscriptions_cost_what_the_oracle_says", rewrite(BILLING, 0, lines=[sound.line(1_257, 1, 21, "2026-10-20")])),
    ("subscriptions_cost_what_the_oracle_says", charged_twice_for_a_cycle),
    ("one_invoice_per_cycle", charged_twice_for_a_cycle),
    ("access_is_not_below_what_is_paid", setting(access=[Access(sound.ACCOUNT, "plus", entitled=False)])),
    ("state_is_the_fold_of_the_log", setting(verdicts={"rebuild billing --dry-run": (1, "the document differs")})),
    (
        "state_is_the_fold_of_the_log",
        setting(verdicts={"rebuild billing --dry-run": (1, "stored otherwise: 2\n  acme: …")}),
    ),
    ("the_audit_finds_nothing", setting(verdicts={"audit": (1, "is charged, but was never bought")})),
    ("at_rest_after_healing", setting(unrest="after 120 s: billing is behind by 3")),
    ("progress_during_single_faults", setting(standstills=["round 3: nothing was answered for 20 s"])),
    ("no_process_ends_by_itself", setting(ends_unasked=["billing-a ended with 70"])),
    ("nothing_grows_but_the_outbox", setting(strange_keys=["chaos.leftover"])),
    ("nothing_grows_but_the_outbox", shard_with(inbox=9)),
    ("nothing_grows_but_the_outbox", shard_with(inbox_without_expiry=1)),
    ("nothing_grows_but_the_outbox", shard_with(gaps=1)),
]


def test_a_sound_end_violates_nothing() -> None:
    """Where everything is as it should be no invariant is named."""
    assert violations(sound.sound()) == []


@pytest.mark.parametrize(("invariant", "break_"), BROKEN, ids=lambda each: getattr(each, "__name__", str(each)))
def test_what_is_broken_is_named(invariant: str, break_: Break) -> None:
    """A history that breaks an invariant is told by its name."""
    evidence = sound.sound()
    break_(evidence)
    assert invariant in {each.invariant for each in violations(evidence)}


def test_a_rebuild_that_follows_the_log_is_no_difference_of_state() -> None:
    """Where deciding again comes to something else, and the state is what the log says, it is counted and not named."""
    evidence = sound.sound()
    said = "billing: 1 accounts\ndecided otherwise: 3\n  acme: one is not what another is decided to today\n"
    evidence.verdicts = {"rebuild billing --dry-run": (1, said), "audit": (0, "")}
    assert violations(evidence) == []
    assert decided_otherwise(evidence) == 3


def test_every_invariant_was_seen_to_fail() -> None:
    """No invariant stands in the list that nobody has seen name anything."""
    assert {name for name, _ in BROKEN} == INVARIANTS.keys()


def test_the_oracle_knows_the_worked_example() -> None:
    """17.95 for 20 of 30 days is 11.97; a second seat for 10 days 5.98; renewed at local midnight for 35.90."""
    purchase = {"effective_date": "2026-09-30", "terms": sound.TERMS}
    seat = {"licenses": {"standard": 2, "additional": 0}, "licenses_from": "2026-10-10"}
    before_midnight, midnight = (datetime(2026, 10, 20, hour, tzinfo=UTC) for hour in (3, 4))
    assert expected_minor(purchase, [], before_midnight) == 1_197
    assert expected_minor(purchase, [seat], before_midnight) == 1_197 + 598
    assert expected_minor(purchase, [seat], midnight) == 1_197 + 598 + 3_590
