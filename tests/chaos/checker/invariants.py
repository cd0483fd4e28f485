"""The invariants by the names that failures print."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from tests.chaos.checker import answers, ends, money, streams
from tests.chaos.checker.evidence import Evidence

Invariant = Callable[[Evidence], Iterator[str]]

INVARIANTS: Final[Mapping[str, Invariant]] = {
    check.__name__: check
    for check in (
        answers.one_outcome_per_command,
        answers.acknowledged_is_kept,
        answers.one_effect_per_command,
        answers.everything_received_is_accounted_for,
        streams.one_payload_per_id,
        streams.sequences_without_a_gap,
        streams.published_is_committed,
        streams.committed_is_published,
        streams.one_writer_per_topic,
        money.invoices_are_their_lines,
        money.invoice_numbers_without_a_gap,
        money.subscriptions_cost_what_the_oracle_says,
        money.one_invoice_per_cycle,
        money.access_is_not_below_what_is_paid,
        ends.state_is_the_fold_of_the_log,
        ends.the_audit_finds_nothing,
        ends.at_rest_after_healing,
        ends.progress_during_single_faults,
        ends.no_process_ends_by_itself,
        ends.nothing_grows_but_the_outbox,
    )
}


class Violation(NamedTuple):
    """An invariant that does not hold, and one case of it."""

    invariant: str
    sentence: str


def violations(evidence: Evidence) -> list[Violation]:
    """Return every case of every invariant that does not hold."""
    return [Violation(name, sentence) for name, check in INVARIANTS.items() for sentence in check(evidence)]
