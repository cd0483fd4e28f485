"""What the tests of the relay share: a relay, things to say, and where its cursor stands."""

from datetime import UTC, datetime
from typing import Any

from services.runtime.clock import ManualClock
from services.runtime.health import Health
from services.runtime.patience import Patience
from services.runtime.relay import Relay
from services.runtime.settings import Settings
from services.runtime.store import Commit, Store
from tests.runtime.toys import record

NOW = datetime(2026, 9, 30, 12, tzinfo=UTC)
PARTITIONS = 2


def relay_of(store: Store, kafka: Any, ends: Any = None, clock: ManualClock | None = None, **changes: Any) -> Relay:
    """Return a relay; `kafka` stands for the publisher, and for the ends of the logs when those are not given."""
    settings = Settings(partitions=PARTITIONS, **changes)
    patience = Patience(Health(30), 100)
    return Relay(store, kafka, ends or kafka, patience, clock or ManualClock(NOW), settings)


async def say(store: Store, *numbers: int, padding: int = 0, account_id: str = "acme") -> None:
    """Commit one record for each number, each in a commit of its own."""
    await store.commit(0, [Commit(account_id, 0, records=[record(n, account_id, padding)]) for n in numbers])


def ids(*numbers: int) -> list[str]:
    """Return the ids of these records."""
    return [f"event-acme-{n}" for n in numbers]


async def cursor(store: Store) -> str:
    """Return where the relay's cursor stands."""
    return (await store.relay_position(0))[0]
