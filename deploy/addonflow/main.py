"""The `addonflow` command line: what each command takes, and which exit status its outcome has.

0 done · 1 the outcome is not as wished (refused, examination failed, story differs) · 2 wrong usage, or no answer ·
69 a server is away · 70 a part ended by itself · 78 the configuration cannot be used. An error is one line on stderr.
"""

import asyncio
import importlib
import logging
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from aiokafka.errors import KafkaError
from rich.console import Console

from deploy.addonflow.connections import Unreachable
from deploy.addonflow.messages import BadInput
from deploy.addonflow.processes import ChildFailed
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_CHILD, EXIT_CONFIGURATION = 2, 69, 70, 78

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Run, feed, watch and examine a deployment.",
)
topics_app = typer.Typer(no_args_is_help=True, help="The topics of a deployment.")
app.add_typer(topics_app, name="topics")

Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Brokers; else ADDONFLOW_KAFKA_BOOTSTRAP.")
]
RedisUrl = Annotated[str | None, typer.Option("--redis", metavar="URL", help="Redis; else ADDONFLOW_REDIS_URL.")]


class Service(StrEnum):
    """What `run` runs."""

    ENTITLEMENTS = "entitlements"
    BILLING = "billing"
    NOTIFICATIONS = "notifications"


def _settings(kafka: str | None = None, redis: str | None = None) -> Settings:
    given = {"kafka_bootstrap": kafka, "redis_url": redis}
    return Settings.load().model_copy(update={name: text for name, text in given.items() if text is not None})


def _say(message: str, status: int) -> NoReturn:
    typer.echo(f"addonflow: {message}", err=True)
    raise typer.Exit(status)


def _run(work: Coroutine[Any, Any, int]) -> NoReturn:
    """Run a command to its exit status; turn every foreseen error into one line and a status."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would log is said in one line
    try:
        status = asyncio.run(work)
    except ConfigurationError as error:
        _say(str(error), EXIT_CONFIGURATION)
    except BadInput as error:
        _say(str(error), EXIT_USAGE)
    except Unreachable as error:
        _say(str(error), EXIT_UNAVAILABLE)
    except KafkaError as error:
        _say(f"Kafka: {error}", EXIT_UNAVAILABLE)
    except ChildFailed as error:
        _say(str(error), EXIT_CHILD)
    except KeyboardInterrupt:
        status = 130
    raise typer.Exit(status)


@app.command()
def run(service: Annotated[Service, typer.Argument(help="Which service.")]) -> None:
    """Run one service against the configured Kafka and Redis (ADDONFLOW_… variables), until it is told to stop."""
    raise typer.Exit(importlib.import_module(f"services.{service}.app").main())


@topics_app.command("create")
def create_topics(
    kafka: Kafka = None,
    replication_factor: Annotated[
        int, typer.Option(min=-1, help="Copies of each topic; -1 leaves it to the broker.")
    ] = -1,
    wait: Annotated[int, typer.Option(min=0, metavar="SECONDS", help="How long to wait for Kafka.")] = 60,
) -> None:
    """Create every topic that is missing, with ADDONFLOW_PARTITIONS partitions. Harmless when they are all there."""
    from deploy.addonflow.topics import create

    async def work() -> int:
        settings = _settings(kafka)
        created = await create(settings, replication_factor, wait)
        for name in created.new:
            typer.echo(f"created {name} with {settings.partitions} partitions")
        typer.echo(f"{len(created.new)} created, {len(created.existing)} there already")
        return 0

    _run(work())


@app.command()
def send(
    *,
    type_name: Annotated[str | None, typer.Argument(metavar="TYPE", help="PurchaseAddOn, AccountUpdated …")] = None,
    pairs: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="licenses.standard=5 goes deeper.")
    ] = None,
    json_text: Annotated[str | None, typer.Option("--json", help="The data as JSON, instead of KEY=VALUE.")] = None,
    file: Annotated[
        str | None, typer.Option("--file", help="JSON lines {type, id?, data}; - reads standard input.")
    ] = None,
    message_id: Annotated[str | None, typer.Option("--id", help="The ce_id; a fresh one by default.")] = None,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Send data that no reader will take.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer to a command.")] = False,
    timeout: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long to wait.")] = 10,
    kafka: Kafka = None,
) -> None:
    """Publish a command or a fact. With --wait: 0 accepted, 1 rejected, 2 no answer."""
    from deploy.addonflow.send_command import messages_of, send_and_show

    async def work() -> int:
        settings = _settings(kafka)
        messages = messages_of(type_name, pairs or [], json_text, file, message_id, checked=not unchecked)
        return await send_and_show(settings, messages, timeout if wait else None)

    _run(work())


@app.command()
def watch(
    *,
    from_start: Annotated[bool, typer.Option("--from-start", help="Show what is there already, too.")] = False,
    account: Annotated[str | None, typer.Option(help="Only this account.")] = None,
    topic: Annotated[
        list[str] | None, typer.Option(help="Only topics whose name contains this; again for more.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    until_idle: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="End after so long a silence.")
    ] = None,
    kafka: Kafka = None,
) -> None:
    """Follow the topics, one line a record, in the order of time per batch; Ctrl-C ends it."""
    from deploy.addonflow import watch as watching

    async def work() -> int:
        console = Console(soft_wrap=True)
        following = watching.follow(
            _settings(kafka),
            watching.choose_topics(topic or []),
            from_start=from_start,
            account_id=account,
            idle_seconds=until_idle,
        )
        async for seen in following:
            if as_json:
                typer.echo(watching.as_json(seen))
            else:
                console.print(watching.as_line(seen))
        return 0

    _run(work())


@app.command()
def doctor(kafka: Kafka = None, redis: RedisUrl = None) -> None:
    """Examine Kafka, Redis and what the services left in both: one line each. 1 when something is wrong."""
    from deploy.addonflow.doctor import examine
    from deploy.addonflow.findings import failed

    async def work() -> int:
        findings = await examine(_settings(kafka, redis))
        console = Console(soft_wrap=True)
        for finding in findings:
            console.print(finding.line())
        return int(failed(findings))

    _run(work())


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="Folder of the state and the logs.")] = Path(".addonflow"),
    kafka_port: Annotated[int, typer.Option(min=1, max=65_535)] = 19_092,
    redis_port: Annotated[int, typer.Option(min=1, max=65_535)] = 16_379,
    http_port: Annotated[int, typer.Option(min=1, max=65_533, help="The first of three.")] = 18_081,
) -> None:
    """Run everything on this machine without Docker until Ctrl-C; the state is kept in a folder."""
    from deploy.addonflow.stack import Ports
    from deploy.addonflow.up import keep_running

    services = {service.value: http_port + number for number, service in enumerate(Service)}
    console = Console(soft_wrap=True)

    async def work() -> int:
        return await keep_running(data.resolve(), Ports(kafka_port, redis_port, services), _settings(), console)

    _run(work())


@app.command()
def demo() -> None:
    """Start everything on free ports in a temporary folder and play the story. 0 when every outcome is as stated."""
    from deploy.addonflow.demo import demonstrate

    _run(demonstrate(Console(soft_wrap=True)))


@app.command()
def story(
    kafka: Kafka = None,
    digest_wait: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="How long the digest may take.")] = 60,
    timeout: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="How long any other outcome may take.")] = 30,
) -> None:
    """Play the story against a running deployment, with accounts of its own. 0 when every outcome is as stated."""
    from deploy.addonflow.demo import play_story

    async def work() -> int:
        return await play_story(_settings(kafka), Console(soft_wrap=True), timeout, digest_wait)

    _run(work())


def main() -> None:
    """Run the command."""
    app(prog_name="addonflow")
