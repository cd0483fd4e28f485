"""What is sent is what is watched, over the embedded broker."""

import asyncio
import json
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from typer.testing import CliRunner, Result

from contracts.topics import COMMANDS, RESULTS
from deploy.addonflow.main import app
from deploy.addonflow.messages import Outbound, of_data
from deploy.addonflow.records import Seen
from deploy.addonflow.send import ACCEPTED, REJECTED, UNANSWERED, send
from deploy.addonflow.topics import create
from services.runtime.keys import shard_of
from services.runtime.settings import Settings

pytestmark = pytest.mark.embedded
PURCHASE = ("account_id=acme", "user_id=olivia", "add_on=analytics_plus")


@pytest.fixture
def deployment(settings: Settings) -> Settings:
    """Give a deployment with its topics."""
    asyncio.run(create(settings, replication_factor=1, wait_seconds=5))
    return settings


def invoke(settings: Settings, *words: str, text: str = "") -> Result:
    """Run the command against a deployment."""
    environment = {"ADDONFLOW_KAFKA_BOOTSTRAP": settings.kafka_bootstrap, "ADDONFLOW_NAMESPACE": settings.namespace}
    return CliRunner().invoke(app, words, input=text, env=environment)


def watched(settings: Settings, *words: str) -> list[dict[str, object]]:
    """Return what `watch --json` shows of everything so far."""
    result = invoke(settings, "watch", "--from-start", "--json", "--until-idle", "0.5", *words)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_what_is_sent_is_watched(deployment: Settings) -> None:
    """A command sent with an id is seen with that id, its account, its data and the envelope of the contract."""
    sent = invoke(deployment, "send", "PurchaseAddOn", *PURCHASE, "--id", "p-1")

    assert sent.exit_code == 0, sent.output
    [seen] = watched(deployment)
    assert f"sent p-1 to {deployment.namespace}{COMMANDS.name}[{seen['partition']}]@0" in sent.stdout
    assert (seen["topic"], seen["type"], seen["id"], seen["account_id"]) == (
        COMMANDS.name,
        "PurchaseAddOn",
        "p-1",
        "acme",
    )
    assert seen["data"] == {"account_id": "acme", "user_id": "olivia", "add_on": "analytics_plus"}
    attributes = seen["attributes"]
    assert isinstance(attributes, dict)
    assert (attributes["ce_specversion"], attributes["ce_source"], attributes["ce_subject"]) == (
        "1.0",
        "/dashboard",
        "acme",
    )


def test_a_fresh_id_is_printed(deployment: Settings) -> None:
    """Without --id the printed id is the one on the record."""
    sent = invoke(deployment, "send", "PurchaseAddOn", *PURCHASE)
    [seen] = watched(deployment)
    assert f"sent {seen['id']} to " in sent.stdout


def test_records_go_to_the_partition_of_their_account(deployment: Settings) -> None:
    """The key is the account id, and the partition the one that the services compute for it."""
    lines = [
        json.dumps({"type": "StartTrial", "data": {"account_id": f"a{n}", "user_id": "u", "add_on": "aircall_ai"}})
        for n in range(20)
    ]
    assert invoke(deployment, "send", "-", text="\n".join(lines)).exit_code == 0

    seen = watched(deployment)
    assert len(seen) == 20
    assert all(each["partition"] == shard_of(str(each["account_id"]), deployment.partitions) for each in seen)


def test_watch_can_be_narrowed(deployment: Settings) -> None:
    """--account and --topic leave out everything else."""
    for account in ("acme", "birch"):
        data = json.dumps({"account_id": account, "user_id": "u", "add_on": "aircall_ai"})
        invoke(deployment, "send", "StartTrial", "--json", data)

    assert [each["account_id"] for each in watched(deployment, "--account", "birch")] == ["birch"]
    assert watched(deployment, "--topic", "billing") == []
    assert len(watched(deployment, "--topic", "commands", "--topic", "billing")) == 2


def test_watch_shows_one_line_a_record(deployment: Settings) -> None:
    """For people each record is one line with account, type and the essential."""
    invoke(deployment, "send", "PurchaseAddOn", *PURCHASE)
    shown = invoke(deployment, "watch", "--from-start", "--until-idle", "0.5").stdout.splitlines()
    assert len(shown) == 1
    assert "acme PurchaseAddOn analytics_plus by olivia" in shown[0]


def test_unreadable_input_is_sent_on_request_only(deployment: Settings) -> None:
    """Wrong data is refused and nothing is sent; with --unchecked it goes out as it is."""
    assert invoke(deployment, "send", "PurchaseAddOn", "account_id=acme").exit_code == 2
    assert watched(deployment) == []
    assert invoke(deployment, "send", "PurchaseAddOn", "account_id=acme", "--unchecked").exit_code == 0
    assert [each["data"] for each in watched(deployment)] == [{"account_id": "acme"}]


def test_a_missing_topic_is_not_made_by_sending(settings: Settings) -> None:
    """Without its topics a deployment gets none by accident: one line says how to create them."""
    sent = invoke(settings, "send", "PurchaseAddOn", *PURCHASE)
    assert sent.exit_code == 78
    assert f"topic {settings.namespace}{COMMANDS.name} is missing: run `addonflow topics create`" in sent.stderr
    assert invoke(settings, "send", "PurchaseAddOn", *PURCHASE).exit_code == 78


def test_no_answer_ends_the_wait_with_its_own_status(deployment: Settings) -> None:
    """--wait without anybody to answer ends after the timeout with status 2."""
    sent = invoke(deployment, "send", "PurchaseAddOn", *PURCHASE, "--wait", "--timeout", "0.5")
    assert sent.exit_code == 2
    assert "no answer within 0.5 s" in sent.stderr


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        (("CommandAccepted", "CommandAccepted"), ACCEPTED),
        (("CommandAccepted", "CommandRejected"), REJECTED),
        (("CommandRejected", "CommandAccepted"), REJECTED),
        (("CommandAccepted", None), UNANSWERED),
    ],
)
def test_the_status_is_that_of_the_answers(deployment: Settings, answers: tuple[str | None, ...], status: int) -> None:
    """Waiting gives 0 when all commands are accepted, 1 when one is rejected, 2 when one has no answer."""
    commands = [
        of_data("StartTrial", {"account_id": account, "user_id": "u", "add_on": "x"}, f"c-{account}")
        for account in ("acme", "birch")
    ]
    replies = dict(zip((command.id for command in commands), answers, strict=True))
    seen: list[Seen] = []

    found = asyncio.run(_send_with_a_service_that_answers(deployment, commands, replies, seen.append))

    assert found == status
    assert {(each.data or {})["command_id"] for each in seen} == {id_ for id_, kind in replies.items() if kind}


async def _send_with_a_service_that_answers(
    settings: Settings, commands: list[Outbound], replies: dict[str, str | None], on_answer: Callable[[Seen], None]
) -> int:
    results = settings.namespace + RESULTS.name
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap) as producer:
        answering: list[asyncio.Task[None]] = []

        async def answer(command: Outbound) -> None:
            for command_id, kind in (("somebody-elses", "CommandRejected"), (command.id, replies[command.id])):
                if kind is not None:
                    data = {"account_id": command.account_id, "command_id": command_id, "user_id": "u"}
                    headers = [("ce_type", f"addons.{kind}.v1".encode())]
                    key = command.account_id.encode()
                    await producer.send_and_wait(results, json.dumps(data).encode(), key, headers=headers)

        def sent(command: Outbound, *_: object) -> None:
            answering.append(asyncio.create_task(answer(command)))

        status = await send(settings, commands, wait_seconds=2, on_sent=sent, on_answer=on_answer)
        await asyncio.gather(*answering)
        return status


async def test_watching_leaves_no_trace(settings: Settings) -> None:
    """Watching joins no group: a group that reads afterwards still gets everything."""
    await create(settings, replication_factor=1, wait_seconds=5)
    command = of_data("StartTrial", {"account_id": "acme", "user_id": "u", "add_on": "x"}, "c-1")
    await send(settings, [command], on_sent=lambda *_: None, on_answer=lambda _: None)
    await asyncio.to_thread(watched, settings)

    partition = TopicPartition(settings.namespace + COMMANDS.name, shard_of("acme", settings.partitions))
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap, group_id="later", auto_offset_reset="earliest"
    ) as consumer:
        consumer.assign([partition])
        assert await consumer.committed(partition) is None
        assert (await consumer.getone()).offset == 0
