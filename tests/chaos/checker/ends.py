"""How a campaign ended: at rest, with nothing that grows, in the state that the log tells, by processes that lived."""

import re
from collections.abc import Iterator

from contracts.topics import BACKOFFICE, COMMANDS
from tests.chaos.checker.evidence import Evidence

_SAID = 800
_COUNTED = re.compile(r"^([a-z ]+): (\d+)$", re.MULTILINE)
_DECIDED_OTHERWISE = "decided otherwise"


def state_is_the_fold_of_the_log(evidence: Evidence) -> Iterator[str]:
    """What each service has stored is what a rebuild from the topics comes to.

    A rebuild also says where deciding again comes to something else than was said. There it follows the log, so that is
    no difference of state: `decided_otherwise` counts it.
    """
    for name, sentence in _failed(evidence, "rebuild"):
        kinds = dict(_COUNTED.findall(evidence.verdicts[name][1]))
        if set(kinds) != {_DECIDED_OTHERWISE}:
            yield sentence


def decided_otherwise(evidence: Evidence) -> int:
    """Return how many decisions a rebuild could not take again as they were taken, and followed the log."""
    texts = (text for name, (_, text) in evidence.verdicts.items() if name.startswith("rebuild"))
    return sum(int(dict(_COUNTED.findall(text)).get(_DECIDED_OTHERWISE, 0)) for text in texts)


def the_audit_finds_nothing(evidence: Evidence) -> Iterator[str]:
    """The product's own audit agrees."""
    yield from (sentence for _, sentence in _failed(evidence, "audit"))


def at_rest_after_healing(evidence: Evidence) -> Iterator[str]:
    """Within a bound after the last fault is healed nothing is unread, unpublished, unanswered or overdue."""
    if evidence.unrest:
        yield evidence.unrest


def progress_during_single_faults(evidence: Evidence) -> Iterator[str]:
    """While one process alone is struck, commands go on being answered."""
    yield from evidence.standstills


def no_process_ends_by_itself(evidence: Evidence) -> Iterator[str]:
    """A process ends when it is told to or killed, and otherwise goes on."""
    yield from evidence.ends_unasked


def nothing_grows_but_the_outbox(evidence: Evidence) -> Iterator[str]:
    """Redis holds accounts, their timers, answers that expire, and outboxes; no gap is left, and no other key."""
    if evidence.strange_keys:
        yield f"{len(evidence.strange_keys)} keys belong to nothing, first {evidence.strange_keys[0]}"
    asked = len(evidence.commands) + sum(each.kind == "http" for each in evidence.operations.values())
    for service in sorted({each.service for each in evidence.shards}):
        shards = [each for each in evidence.shards if each.service == service]
        if (inbox := sum(each.inbox for each in shards)) > asked:
            yield f"{service} keeps {inbox} answers to {asked} commands on {COMMANDS.name} and {BACKOFFICE.name}"
    for each in evidence.shards:
        if each.inbox_without_expiry:
            yield f"{each.service} {each.shard} keeps {each.inbox_without_expiry} answers for ever"
        if each.gaps:
            yield f"{each.service} {each.shard} misses something of {each.gaps} accounts"


def _failed(evidence: Evidence, command: str) -> Iterator[tuple[str, str]]:
    for name, (code, text) in evidence.verdicts.items():
        if name.startswith(command) and code:
            yield name, f"{name} ended with {code}: {text[:_SAID]}"
