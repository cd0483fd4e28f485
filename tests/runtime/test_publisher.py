"""How the one producer writes: what a broker acknowledged is kept."""

from typing import Any

import pytest

from services.runtime import kafka
from services.runtime.kafka import Publisher
from services.runtime.settings import Settings


@pytest.mark.parametrize("idempotent", [True, False])
async def test_what_is_acknowledged_is_on_all_replicas_in_sync(
    monkeypatch: pytest.MonkeyPatch, idempotent: bool
) -> None:
    """The producer asks for every replica's acknowledgement, whether or not the broker can tell repetitions."""
    made: list[dict[str, Any]] = []

    class Producer:
        """Stands for the client's producer, and notes how it is made."""

        def __init__(self, **settings: Any) -> None:
            made.append(settings)

        async def start(self) -> None:
            """Connect to nothing."""

    monkeypatch.setattr(kafka, "AIOKafkaProducer", Producer)
    await Publisher(Settings(kafka_idempotence=idempotent))._connected()

    assert [(each["acks"], each["enable_idempotence"]) for each in made] == [("all", idempotent)]
