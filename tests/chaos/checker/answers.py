"""Commands and their outcomes: one answer, one effect, and everything received is accounted for."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from contracts.topics import BY_NAME, READERS, Kind
from tests.chaos.checker.evidence import Evidence, Origin, origin_of

_ONCE = {"AddOnPurchased", "TrialStarted"}
"""Types of which an add-on of an account has one at most: nothing is cancelled here, and a trial is given once."""


def one_outcome_per_command(evidence: Evidence) -> Iterator[str]:
    """Every command that was accepted into a log has exactly one answer, and no answer is to a command nobody sent."""
    asked = dict.fromkeys(evidence.commands, "log")
    for each in evidence.operations.values():
        key = (each.said.get("account", ""), each.said.get("id", ""))
        if each.kind == "http" and each.status == "ok":
            asked[key] = "http"
            yield from _as_told(evidence, key, accepted=each.heard["accepted"])
        elif each.kind == "http":
            asked.setdefault(key, "perhaps")
    for key, how in asked.items():
        answers = evidence.answers.get(key, [])
        if len(answers) > 1 or (not answers and how != "perhaps"):
            yield f"{key[1]} of {key[0]} ({how}) has {len(answers)} answers: {[each.type for each in answers]}"
    for key in evidence.answers.keys() - asked.keys():
        yield f"{key[1]} of {key[0]} is answered and was never sent"


def _as_told(evidence: Evidence, key: tuple[str, str], *, accepted: bool) -> Iterator[str]:
    for answer in evidence.answers.get(key, []):
        if answer.type.endswith("Accepted") != accepted:
            yield f"{key[1]} of {key[0]} was told over HTTP that accepted is {accepted}, its answer is {answer.type}"


def acknowledged_is_kept(evidence: Evidence) -> Iterator[str]:
    """What the broker acknowledged to a client stands in its log, where it was said to."""
    there = {origin_of(each) for records in evidence.topics.values() for each in records}
    for each in evidence.operations.values():
        if each.kind != "http" and each.status == "ok":
            place = Origin(each.said["topic"], each.heard["partition"], each.heard["offset"])
            if place not in there:
                yield f"{each.said['id']} of {each.said['account']} was acknowledged at {place} and is not there"


def one_effect_per_command(evidence: Evidence) -> Iterator[str]:
    """A command caused exactly the events that its answer names, a refused one none; nothing was sold twice."""
    caused: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in evidence.events:
        caused[event.attributes["ce_subject"], event.attributes["ce_causationid"]].append(event.id)
    for key, answers in evidence.answers.items():
        for answer in (each for each in answers if each.type.startswith("Command")):
            named = list(answer.data.get("events", ()))
            if sorted(caused.get(key, [])) != sorted(named):
                yield f"{key[1]} of {key[0]} is answered with events {named}, and caused {caused.get(key, [])}"
    once = Counter(
        (each.attributes["ce_subject"], each.data["add_on"], each.type) for each in evidence.events_of(*_ONCE)
    )
    for (account, add_on, kind), number in once.items():
        if number > 1:
            yield f"{account} has {number} {kind} of {add_on}"


def everything_received_is_accounted_for(evidence: Evidence) -> Iterator[str]:
    """Received = applied + rejected + duplicates + dead letters, for each service and topic.

    Every unreadable record, and no other, is set aside by each service that reads its topic.
    """
    poison = {
        Origin(each.said["topic"], each.heard["partition"], each.heard["offset"]): each.said["case"]
        for each in evidence.operations.values()
        if each.kind == "poison" and each.status == "ok"
    }
    for service, topics in READERS.items():
        aside = evidence.set_aside[service]
        for topic in topics:
            for place in (each for each in poison if each.topic == topic.name and each not in aside):
                yield f"{service} did not set aside {poison[place]!r} at {place}"
            records = evidence.read(topic.name)
            unread = sum(origin_of(each) in aside for each in records)
            readable = evidence.readable(topic.name)
            distinct = {(each.attributes["ce_subject"], each.id) for each in readable}
            repeated = len(readable) - len(distinct)
            answered = len(distinct & evidence.answers.keys()) if BY_NAME[topic.name].kind is Kind.COMMANDS else None
            applied = len(distinct) if answered is None else answered
            if len(records) != applied + repeated + unread:
                yield (
                    f"{service} received {len(records)} of {topic.name}: {applied} applied or rejected, "
                    f"{repeated} duplicates and {unread} dead letters do not make them"
                )
    maybe = {each.said["case"] for each in evidence.operations.values() if each.kind == "poison"}
    for service, origins in evidence.set_aside.items():
        for origin, letters in origins.items():
            if letters[0].attributes.get("case", "") not in maybe:
                yield f"{service} set aside a good record at {origin}: {letters[0].attributes['dlq_reason']}"
            if len({each.value for each in letters}) > 1:
                yield f"{service} set aside {origin} with {len({each.value for each in letters})} contents"
