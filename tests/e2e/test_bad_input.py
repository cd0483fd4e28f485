"""Bad input has a clear outcome each: a refusal with its reason, or a dead letter with its origin; neighbours go on.

The whole scenario runs once, and again with every record sent twice: the outcome is the same.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from contracts.topics import BILLING, COMMANDS, EVENTS, NOTIFICATIONS, READERS, RESULTS, Topic
from tests.e2e import bad_input
from tests.e2e.observe import Deployment
from tests.e2e.records import Record, by_account, once_each
from tests.e2e.services import SERVICES, ServiceProcess

NewDeployment = Callable[[str], Deployment]
COPIES = {"once": 1, "twice": 2}


@dataclass(frozen=True)
class Outcome:
    """What became of the scenario. `letters` are by topic name, `results` by command id, the rest by account.

    `answers` are all results: two of them may be for one command id, of two accounts.
    """

    deployment: Deployment
    copies: int
    answers: list[Record]
    letters: Mapping[str, list[Record]]
    results: Mapping[str, Record]
    events: Mapping[str, list[Record]]
    invoices: Mapping[str, list[Record]]
    misrouted: float


def play(deployment: Deployment, copies: int) -> float:
    """Send everything `copies` times and come to rest; return how many commands were counted as misrouted."""
    with ExitStack() as stack:
        processes = [stack.enter_context(ServiceProcess(each, deployment.settings())) for each in SERVICES]
        for process in processes:
            process.until_ready()
        facts = [*bad_input.FACTS, *(each for each, _ in bad_input.UNREADABLE_FACTS.values())]
        deployment.send(*facts * copies)
        deployment.until_at_rest("entitlements")
        deployment.send(*[*bad_input.commands(), *bad_input.SAME_ID] * copies)
        deployment.send(*[each for each, _ in bad_input.UNREADABLE_EVENTS.values()] * copies)
        deployment.until_at_rest(*SERVICES)
        misrouted = processes[0].metric(f'addonflow_misrouted_total{{topic="{COMMANDS.name}"}}')
        assert [process.terminate() for process in processes] == [0, 0, 0]
    return misrouted


@pytest.fixture(scope="module", params=list(COPIES))
def outcome(request: pytest.FixtureRequest, new_deployment: NewDeployment) -> Outcome:
    """Give what became of the scenario, once with every record sent once and once with every record sent twice."""
    copies = COPIES[request.param]
    deployment = new_deployment(f"bad-{request.param}")
    misrouted = play(deployment, copies)
    results = once_each(deployment.read(RESULTS))
    answered = [(each.attributes["ce_subject"], each.data["command_id"]) for each in results]
    assert len(set(answered)) == len(answered), "a command has one answer"
    happened = [each for each in deployment.read(EVENTS) if "case" not in each.attributes]
    names = [topic.dead_letters_of(service) for service in SERVICES for topic in READERS[service]]
    return Outcome(
        deployment,
        copies,
        results,
        {name: deployment.read(name) for name in names},
        {each.data["command_id"]: each for each in results},
        by_account(happened),
        by_account(deployment.read(BILLING)),
        misrouted,
    )


READS_OF: list[tuple[str, Topic]] = [
    (service, topic) for service in SERVICES for topic in READERS[service] if topic in bad_input.UNREADABLE
]


@pytest.mark.parametrize(("service", "topic"), READS_OF, ids=[f"{name} {topic.name}" for name, topic in READS_OF])
def test_what_cannot_be_read_is_a_dead_letter_with_its_origin(outcome: Outcome, service: str, topic: Topic) -> None:
    """Every unreadable record, and nothing else, is a dead letter of each service that reads it, with why and whence.

    It keeps its original key, bytes and headers.
    """
    wrong = bad_input.UNREADABLE[topic]
    letters = outcome.letters[topic.dead_letters_of(service)]
    assert Counter(each.attributes["case"] for each in letters) == dict.fromkeys(wrong, outcome.copies)
    sent = {(each.partition, each.offset): each for each in outcome.deployment.read(topic)}
    for letter in letters:
        said = letter.attributes
        assert said["dlq_reason"] == wrong[said["case"]][1]
        assert said["dlq_service"] == service
        assert said["dlq_topic"] == outcome.deployment.namespace + topic.name
        original = sent[int(said["dlq_partition"]), int(said["dlq_offset"])]
        assert (letter.key, letter.value) == (original.key, original.value)
        assert letter.headers[: len(original.headers)] == original.headers


@pytest.mark.parametrize("case", list(bad_input.REFUSED))
def test_what_is_not_known_is_refused_with_its_reason(outcome: Outcome, case: str) -> None:
    """An unknown account, member, role, add-on or currency, or what only staff may do, is a refusal that says which."""
    answer = outcome.results[case]
    assert answer.type == "CommandRejected"
    assert answer.data["reason"] == bad_input.REFUSED[case][1]


def test_the_answer_to_an_unknown_account_counts_in_no_sequence(outcome: Outcome) -> None:
    """Nothing is kept of an account nobody has stated, so a refusal for it carries no sequence."""
    assert "ce_sequence" not in outcome.results["unknown account"].attributes


@pytest.mark.parametrize("case", [each.id for each in bad_input.ACCEPTED])
def test_neighbours_and_oddities_are_accepted(outcome: Outcome, case: str) -> None:
    """What stands beside bad records is done, and so is what is merely odd.

    Odd is a foreign key, none, or one that is no text; a field nobody knows; 0 seats; older revisions that arrive late.
    """
    assert outcome.results[case].type == "CommandAccepted"


def test_every_command_that_can_be_read_has_one_answer(outcome: Outcome) -> None:
    """No answer is missing and none is for anything else, however often the commands were sent."""
    expected = {*bad_input.REFUSED, *(each.id for each in bad_input.ACCEPTED)}
    assert set(outcome.results) - {each.id for each in bad_input.SAME_ID} == expected


def test_every_accepted_command_has_its_one_effect(outcome: Outcome) -> None:
    """The events are those that the answers announce, each once."""
    announced = sorted(event for each in outcome.answers for event in each.data.get("events", ()))
    assert sorted(each.id for found in outcome.events.values() for each in found) == announced


def test_ids_of_commands_are_the_accounts_own(outcome: Outcome) -> None:
    """Two accounts of one shard whose senders chose the same command id have an answer and an effect each."""
    trials = [each for found in outcome.events.values() for each in found if each.type == "TrialStarted"]
    assert {each.data["account_id"] for each in trials} == {"acme", bad_input.TWIN}


def test_ids_of_what_is_emitted_are_unique(outcome: Outcome) -> None:
    """No two records of entitlements have the same `ce_id`, whatever ids the senders of commands chose."""
    emitted = [*outcome.answers, *(each for found in outcome.events.values() for each in found)]
    assert [identity for identity, count in Counter(each.id for each in emitted).items() if count > 1] == []


def test_misrouted_records_are_counted(outcome: Outcome) -> None:
    """A command in another partition than its account's is handled, and counted so that its sender can be put right."""
    assert outcome.misrouted == len(bad_input.MISROUTED) * outcome.copies


def test_0_seats_cost_nothing(outcome: Outcome) -> None:
    """The purchase of an account without seats is billed with an invoice of 0."""
    (invoice,) = outcome.invoices["no-seats"]
    assert invoice.data["total"] == {"amount_minor": 0, "currency": "USD"}


def test_only_purchases_are_billed(outcome: Outcome) -> None:
    """Each purchase has one invoice; nothing unreadable, refused or repeated has any."""
    assert {account: len(found) for account, found in outcome.invoices.items()} == {
        "no-seats": 1,
        "backwards": 1,
        "acme": 1,
    }


def test_notifications_have_one_content_each(outcome: Outcome) -> None:
    """The people of an account are told once, whatever was sent twice."""
    told = once_each(outcome.deployment.read(NOTIFICATIONS))
    ids = [each.data["notification_id"] for each in told]
    assert ids
    assert len(set(ids)) == len(ids)
    assert {each.attributes["ce_subject"] for each in told} <= set(outcome.events)
