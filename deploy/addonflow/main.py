"""The `addonflow` command line: what each command takes."""

import importlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deploy.addonflow.access_command import access_app
from deploy.addonflow.account_command import account_app
from deploy.addonflow.backup_command import backup, restore
from deploy.addonflow.clock_command import clock_app
from deploy.addonflow.command import Kafka, RedisUrl, run_to_end, settings_of
from deploy.addonflow.dead_letters_command import dead_letters_app
from deploy.addonflow.erase_command import erase_member
from deploy.addonflow.export_command import export
from deploy.addonflow.gaps_command import gaps_app, replay
from deploy.addonflow.token_command import keys, token

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Run, feed, watch and examine a deployment.",
)
topics_app = typer.Typer(no_args_is_help=True, help="The topics of a deployment.")
app.add_typer(topics_app, name="topics")
app.add_typer(access_app, name="access")
app.add_typer(account_app, name="account")
app.add_typer(clock_app, name="clock")
app.add_typer(dead_letters_app, name="dead-letters")
app.add_typer(gaps_app, name="gaps")
app.command()(backup)
app.command()(restore)
app.command("erase-member")(erase_member)
app.command()(export)
app.command()(replay)
app.command()(keys)
app.command()(token)


class Service(StrEnum):
    """The services, each with its own state."""

    ENTITLEMENTS = "entitlements"
    BILLING = "billing"
    NOTIFICATIONS = "notifications"


class Process(StrEnum):
    """What `run` runs: a service, or the dashboard."""

    ENTITLEMENTS = "entitlements"
    BILLING = "billing"
    NOTIFICATIONS = "notifications"
    DASHBOARD = "dashboard"


@app.command()
def run(process: Annotated[Process, typer.Argument(metavar="SERVICE", help="Which one.")]) -> None:
    """Run a service or the dashboard against the configured servers (ADDONFLOW_… variables), until told to stop."""
    raise typer.Exit(importlib.import_module(f"services.{process}.app").main())


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
        settings = settings_of(kafka)
        created = await create(settings, replication_factor, wait)
        for name in created.new:
            typer.echo(f"created {name} with {settings.partitions} partitions")
        typer.echo(f"{len(created.new)} created, {len(created.existing)} there already")
        return 0

    run_to_end(work())


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
        settings = settings_of(kafka)
        messages = messages_of(type_name, pairs or [], json_text, file, message_id, checked=not unchecked)
        return await send_and_show(settings, messages, timeout if wait else None)

    run_to_end(work())


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
            settings_of(kafka),
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

    run_to_end(work())


@app.command()
def doctor(kafka: Kafka = None, redis: RedisUrl = None) -> None:
    """Examine Kafka, Redis and what the services left in both: one line each. 1 when something is wrong."""
    from deploy.addonflow.doctor import examine
    from deploy.addonflow.findings import failed

    async def work() -> int:
        findings = await examine(settings_of(kafka, redis))
        console = Console(soft_wrap=True)
        for finding in findings:
            console.print(finding.line())
        return int(failed(findings))

    run_to_end(work())


@app.command()
def rebuild(
    service: Annotated[Service, typer.Argument(help="Which service; it must be stopped.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Switch although something differs.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether something differs.")] = False,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Make a service's state in Redis again from the topics alone. 1 when it differs, and stays as it was."""
    from deploy.addonflow.rebuild import rebuild as rebuild_service

    settings, console = settings_of(kafka, redis), Console(soft_wrap=True)
    run_to_end(rebuild_service(settings, service.value, console, force=force, dry_run=dry_run))


@app.command()
def explain(
    invoice: Annotated[str, typer.Argument(help="Its number, acme-000012.")],
    *,
    from_log: Annotated[bool, typer.Option("--from-log", help="Find it in the topic, not in billing's state.")] = False,
    kafka: Kafka = None,
    redis: RedisUrl = None,
) -> None:
    """Say how an invoice came to its amounts, and work each line out again. 1 when one contradicts itself."""
    from deploy.addonflow.explain import explain as explain_invoice

    run_to_end(explain_invoice(settings_of(kafka, redis), invoice, Console(soft_wrap=True), from_log=from_log))


@app.command()
def audit(kafka: Kafka = None, redis: RedisUrl = None) -> None:
    """Check all charges against what was sold, and billing's state against the log. 0 when all is right."""
    from deploy.addonflow.audit import audit as audit_billing

    run_to_end(audit_billing(settings_of(kafka, redis), Console(soft_wrap=True)))


@app.command()
def people(kafka: Kafka = None) -> None:
    """State the accounts Cedar and Birch and their people, to try things out. Stating them again changes nothing."""
    from deploy.addonflow.people import introduce

    async def work() -> int:
        typer.echo(f"{await introduce(settings_of(kafka), wait_seconds=10)} facts stated of cedar and birch")
        return 0

    run_to_end(work())


@app.command()
def up(
    data: Annotated[Path, typer.Option(help="Folder of the state and the logs.")] = Path(".addonflow"),
    kafka_port: Annotated[int, typer.Option(min=1, max=65_535)] = 19_092,
    redis_port: Annotated[int, typer.Option(min=1, max=65_535)] = 16_379,
    http_port: Annotated[int, typer.Option(min=1, max=65_533, help="The first of three.")] = 18_081,
    dashboard_port: Annotated[int, typer.Option(min=1, max=65_535)] = 18_080,
    virtual_clock: Annotated[
        bool, typer.Option("--virtual-clock", help="Time stands still until `addonflow clock` moves it.")
    ] = False,
    people: Annotated[bool, typer.Option(help="Introduce the accounts Cedar and Birch, to try things out.")] = True,
) -> None:
    """Run everything on this machine without Docker until Ctrl-C; the state is kept in a folder."""
    from deploy.addonflow.stack import Ports
    from deploy.addonflow.up import keep_running

    services = {service.value: http_port + number for number, service in enumerate(Service)}
    console = Console(soft_wrap=True)

    async def work() -> int:
        settings = settings_of()
        settings = settings.model_copy(update={"virtual_clock": settings.virtual_clock or virtual_clock})
        ports = Ports(kafka_port, redis_port, services, dashboard_port)
        return await keep_running(data.resolve(), ports, settings, console, people=people)

    run_to_end(work())


@app.command()
def demo(
    year: Annotated[
        bool, typer.Option("--year", help="Play a year of three accounts, on a clock that is moved.")
    ] = False,
) -> None:
    """Start everything on free ports in a temporary folder and play the story. 0 when every outcome is as stated."""
    from deploy.addonflow.demo import demonstrate
    from deploy.addonflow.year_demo import play_year

    play = play_year if year else demonstrate
    run_to_end(play(Console(soft_wrap=True)))


@app.command()
def story(
    kafka: Kafka = None,
    digest_wait: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="How long the digest may take.")] = 60,
    timeout: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="How long any other outcome may take.")] = 30,
) -> None:
    """Play the story against a running deployment, with accounts of its own. 0 when every outcome is as stated."""
    from deploy.addonflow.demo import play_story

    async def work() -> int:
        return await play_story(settings_of(kafka), Console(soft_wrap=True), timeout, digest_wait)

    run_to_end(work())


def main() -> None:
    """Run the command."""
    app(prog_name="addonflow")
