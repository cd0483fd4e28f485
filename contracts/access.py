"""Who may do what on Kafka, as the registry of topics says. What is not said here is denied.

- Who writes a topic may write it, and nobody else may.
- A service reads its topics in its own group, and writes the dead letters of what it reads.
- A party outside reads what the registry gives it, in groups named after it, or in none.

To read or to write a topic includes to see it. An idempotent producer needs no right of its own (Kafka 3.0 or later).
Users carry the namespace, so that deployments that share a cluster have users of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from contracts.topics import OUTSIDE, READERS, TOPICS, group_name

SERVICES = tuple(READERS)
PARTIES = (*READERS, *OUTSIDE)
ADMIN = "admin"
"""May do everything: for setting up, and for operators' commands. No right is listed for it."""


class Resource(StrEnum):
    """What a right is about."""

    TOPIC = "topic"
    GROUP = "group"


class Pattern(StrEnum):
    """Whether a right's name is a whole one, or how names begin."""

    LITERAL = "literal"
    PREFIXED = "prefixed"


class Operation(StrEnum):
    """What may be done."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One thing that one Kafka user may do, from any host."""

    user: str
    resource: Resource
    name: str
    pattern: Pattern
    operation: Operation


def user_of(namespace: str, party: str) -> str:
    """Name a party's user on Kafka, or a service's on Redis."""
    return f"{namespace}{party}"


def rights_of(namespace: str, party: str) -> Iterator[Right]:
    """Return what a service or an outside party may do; names are full, with the namespace."""
    user = user_of(namespace, party)

    def topic(name: str, operation: Operation) -> Right:
        return Right(user, Resource.TOPIC, namespace + name, Pattern.LITERAL, operation)

    for written in TOPICS:
        if written.writer == party:
            yield topic(written.name, Operation.WRITE)
    for read in READERS.get(party, ()):
        yield topic(read.name, Operation.READ)
        yield topic(read.dead_letters_of(party), Operation.WRITE)
    for read in OUTSIDE.get(party, ()):
        yield topic(read.name, Operation.READ)
    if party in READERS:
        yield Right(user, Resource.GROUP, group_name(namespace, party), Pattern.LITERAL, Operation.READ)
    elif OUTSIDE[party]:
        yield Right(user, Resource.GROUP, f"{user}.", Pattern.PREFIXED, Operation.READ)


def rights(namespace: str) -> tuple[Right, ...]:
    """Return every right of a deployment, sorted."""
    return tuple(sorted(right for party in PARTIES for right in rights_of(namespace, party)))
