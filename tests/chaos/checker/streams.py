"""What services say: the same bytes each time, in sequence, and exactly what they have committed."""

from collections import defaultdict
from collections.abc import Iterator

from contracts.topics import BY_NAME
from tests.chaos.checker.evidence import STREAMS, Evidence
from tests.e2e.records import Record

_SHOWN = 3


def one_payload_per_id(evidence: Evidence) -> Iterator[str]:
    """Whatever is published twice under an id, or under a sequence of its account, is the same to the byte."""
    for topic in STREAMS:
        by_id: dict[tuple[str, str], Record] = {}
        by_sequence: dict[tuple[str, int], Record] = {}
        for each in evidence.readable(topic.name):
            account = each.attributes["ce_subject"]
            if by_id.setdefault((account, each.id), each).content != each.content:
                yield f"{each.id} of {account} is on {topic.name} with two contents"
            if each.sequence and by_sequence.setdefault((account, each.sequence), each).id != each.id:
                yield f"{account} has two records with sequence {each.sequence} on {topic.name}"


def sequences_without_a_gap(evidence: Evidence) -> Iterator[str]:
    """Per topic and account what is said counts 1, 2, 3 … in the order of the log, repetitions left out."""
    for topic in STREAMS:
        counted: dict[str, list[int]] = defaultdict(list)
        for (account, _), each in evidence.first_of_each(topic.name).items():
            if each.sequence:
                counted[account].append(each.sequence)
        for account, sequences in counted.items():
            if sequences != list(range(1, len(sequences) + 1)):
                yield f"{account} counts {sequences} on {topic.name}"


def published_is_committed(evidence: Evidence) -> Iterator[str]:
    """No event without committed state: what stands in a topic stands in the outbox of its writer, to the byte."""
    committed = {each.content for shard in evidence.shards for each in shard.outbox}
    for topic in STREAMS:
        for each in evidence.first_of_each(topic.name).values():
            if each.content not in committed:
                yield f"{each.type} {each.id} of {each.attributes['ce_subject']} is published and was never committed"


def committed_is_published(evidence: Evidence) -> Iterator[str]:
    """What stands in an outbox is published, in the order of the commits."""
    for shard in evidence.shards:
        wanted: dict[str, list[Record]] = defaultdict(list)
        for each in shard.outbox:
            wanted[each.topic].append(each)
        for topic, records in wanted.items():
            ids = {(each.attributes["ce_subject"], each.id) for each in records}
            first = [key for key, each in evidence.first_of_each(topic).items() if each.partition == shard.shard]
            there = [key for key in first if key in ids]
            order = [(each.attributes["ce_subject"], each.id) for each in records]
            missing = [key for key in order if key not in set(there)]
            if missing:
                yield f"{shard.service} {shard.shard} never published {len(missing)} of {topic}: {missing[:_SHOWN]}"
            elif there != order:
                at = next(place for place, (one, other) in enumerate(zip(there, order, strict=True)) if one != other)
                yield f"{shard.service} {shard.shard} published {topic} out of order from {order[at]} on"


def one_writer_per_topic(evidence: Evidence) -> Iterator[str]:
    """What stands in a service's topic is in the partition of its account, and says that this service wrote it."""
    for topic in STREAMS:
        for each in evidence.first_of_each(topic.name).values():
            if each.attributes["ce_source"] != BY_NAME[topic.name].source:
                yield f"{each.id} on {topic.name} says that {each.attributes['ce_source']} wrote it"
