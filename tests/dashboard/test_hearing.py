"""What a process hears: every fact and event of an account is a change of it, from the moment it begins to listen."""

from pathlib import Path

import pytest
from aiokafka import TopicPartition

from contracts.envelope import Envelope
from contracts.topics import ACCOUNTS, RESULTS
from services.dashboard.reading import Reading
from services.runtime.settings import Settings
from tests.dashboard.desk import desk_of
from tests.dashboard.test_standing import ACCOUNT

END = 40


class _Consumer:
    """A consumer of topics that end at `END`."""

    begins: dict[TopicPartition, int]

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.begins = dict.fromkeys(partitions, -1)

    async def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, END)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.begins[partition] = offset


@pytest.mark.parametrize("demo", [True, False])
def test_a_fact_is_a_change_of_its_account(tmp_path: Path, *, demo: bool) -> None:
    """Open pages look again after a fact, whether or not anybody can be somebody else here."""
    desk = desk_of(tmp_path, demo=demo)
    before = desk.changes.mark("acme")
    desk._heard(ACCOUNTS, Envelope("e", "/x", ACCOUNT.ce_type, None, "acme", None, None, None, None, ACCOUNT))
    assert desk.changes.mark("acme") != before


@pytest.mark.parametrize(("all_facts", "first"), [(True, 0), (False, END)])
async def test_facts_are_heard_from_now_on(*, all_facts: bool, first: int) -> None:
    """Only a demonstration needs the facts from their beginning; everything else is heard from now on."""
    reading, consumer = Reading(Settings(partitions=1), lambda *_: None, all_facts=all_facts), _Consumer()
    await reading._begin(consumer)
    begins = {partition.topic: offset for partition, offset in consumer.begins.items()}
    assert (begins[ACCOUNTS.name], begins[RESULTS.name]) == (first, END)
