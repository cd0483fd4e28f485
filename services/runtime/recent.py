"""What this process added to outboxes just now, so that its relay need not read it back from Redis.

A commit says behind which entry of the outbox its records stand, and which entry is their last. Stretches that each
begin where the one before ends are therefore the outbox itself, from the relay's cursor on. Where another process, an
older release or a reply that came late left something in between, the chain is broken there, and the relay reads on in
Redis: what is kept here only ever saves a read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

BYTES_MAX = 4_194_304
"""Of records kept per shard. While Kafka is away more are added: those are read from Redis when it is back."""


class Recent:
    """Stretches of records by shard and by the stream id they stand behind; only of shards that are followed."""

    def __init__(self) -> None:
        self._shards: dict[int, _Chain] = {}

    @contextmanager
    def following(self, shard: int) -> Iterator[None]:
        """Keep what is added to the shard's outbox while the context lasts."""
        chain = self._shards[shard] = _Chain()
        try:
            yield
        finally:
            if self._shards.get(shard) is chain:
                del self._shards[shard]

    def add(self, shard: int, before: str, last: str, records: Sequence[bytes]) -> None:
        """Keep records that fill the outbox from behind entry `before` up to entry `last`, if there is room."""
        chain = self._shards.get(shard)
        if chain is not None:
            chain.add(before, last, records)

    def take(self, shard: int, cursor: str, limit: int) -> list[tuple[str, bytes]]:
        """Return (id of the last entry of its stretch, record) of what stands right behind `cursor`, and let it go.

        Whole stretches, until there are `limit` records or more. Nothing returned says nothing about the outbox.
        """
        chain = self._shards.get(shard)
        return chain.take(cursor, limit) if chain is not None else []

    def forget_before(self, shard: int, cursor: str) -> None:
        """Let go what begins before an entry that was read from Redis."""
        chain = self._shards.get(shard)
        if chain is not None:
            chain.forget_before(cursor)


class _Chain:
    """The stretches of one shard."""

    def __init__(self) -> None:
        self._stretches: dict[str, tuple[str, Sequence[bytes]]] = {}
        self._bytes = 0

    def add(self, before: str, last: str, records: Sequence[bytes]) -> None:
        if self._bytes < BYTES_MAX:
            self._stretches[before] = (last, records)
            self._bytes += sum(map(len, records))

    def take(self, cursor: str, limit: int) -> list[tuple[str, bytes]]:
        found: list[tuple[str, bytes]] = []
        while cursor in self._stretches and len(found) < limit:
            cursor, records = self._pop(cursor)
            found += [(cursor, record) for record in records]
        return found

    def forget_before(self, cursor: str) -> None:
        for before in [each for each in self._stretches if _place(each) < _place(cursor)]:
            self._pop(before)

    def _pop(self, before: str) -> tuple[str, Sequence[bytes]]:
        last, records = self._stretches.pop(before)
        self._bytes -= sum(map(len, records))
        return last, records


def _place(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number)
