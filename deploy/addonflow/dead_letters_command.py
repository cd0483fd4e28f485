"""`addonflow dead-letters`: what services set aside, shown, replayed and dropped."""

import getpass
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from deploy.addonflow.command import Kafka, run_to_end, settings_of
from services.runtime.clock import SystemClock

if TYPE_CHECKING:
    from deploy.addonflow.dead_letters import Choice

dead_letters_app = typer.Typer(
    no_args_is_help=True, help="Records that services could not read or decide, and set aside whole."
)
Ids = Annotated[list[str] | None, typer.Argument(metavar="ID", help="As `list` shows them: topic/partition/offset.")]
TopicPart = Annotated[str, typer.Option("--topic", help="A part of the name of the topic they came from.")]
ServiceName = Annotated[str, typer.Option("--service", help="Which service set them aside.")]
Reason = Annotated[str, typer.Option("--reason", help="The reason code: handler_failed, data_invalid …")]
Account = Annotated[str, typer.Option("--account", help="Of this account.")]
OlderThan = Annotated[str | None, typer.Option("--older-than", metavar="DURATION", help="Set aside before: 1h, 7d.")]
NewerThan = Annotated[str | None, typer.Option("--newer-than", metavar="DURATION", help="Set aside since: 1h, 7d.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Every = Annotated[bool, typer.Option("--all", help="All that are open; else something must choose.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most so many at once.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
By = Annotated[str | None, typer.Option("--by", help="Who does it; the user of this machine by default.")]
_LIMIT = 1_000


def _choice(
    ids: list[str] | None,
    topic: str,
    service: str,
    reason: str,
    account: str,
    older_than: str | None,
    newer_than: str | None,
) -> "Choice":
    from contracts.topics import READERS
    from deploy.addonflow.clock import duration
    from deploy.addonflow.dead_letters import Choice
    from deploy.addonflow.messages import BadInput

    if service and service not in READERS:
        raise BadInput(f"{service!r} is no service: {', '.join(READERS)}")

    def age(text: str | None) -> timedelta | None:
        return duration(text) if text is not None else None

    return Choice(
        now=SystemClock().now(),
        ids=tuple(ids or ()),
        topic=topic,
        service=service,
        reason=reason,
        account=account,
        older_than=age(older_than),
        newer_than=age(newer_than),
    )


@dead_letters_app.command("list")
def list_(
    topic: TopicPart = "",
    service: ServiceName = "",
    reason: Reason = "",
    account: Account = "",
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that were replayed or dropped.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=0, help="How many of the latest to show.")] = 20,
    as_json: AsJson = False,
    kafka: Kafka = None,
) -> None:
    """Count dead letters by service, topic and reason, and show the latest. 1 when any of them is open."""
    from deploy.addonflow.dead_letters_shown import Summary, letter_json
    from deploy.addonflow.dead_letters_shown import summary as summarize

    async def work() -> int:
        choice = _choice(None, topic, service, reason, account, older_than, newer_than)
        summary: Summary = await summarize(settings_of(kafka), choice, limit, every=every)
        if as_json:
            for letter, settled in summary.latest:
                typer.echo(json.dumps(letter_json(letter, settled), ensure_ascii=False))
        else:
            summary.print(Console(soft_wrap=True))
        return int(summary.open > 0)

    run_to_end(work())


@dead_letters_app.command("show")
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="topic/partition/offset, as `list` shows it.")],
    as_json: AsJson = False,
    kafka: Kafka = None,
) -> None:
    """Show a dead letter whole: why it was set aside, where it came from, its headers and its value."""
    from deploy.addonflow.dead_letters_shown import find, letter_json, print_letter

    async def work() -> int:
        choice = _choice([letter_id], "", "", "", "", None, None)
        letter, settled, obstacle = await find(settings_of(kafka), choice)
        if as_json:
            typer.echo(json.dumps(letter_json(letter, settled, whole=True), ensure_ascii=False))
        else:
            print_letter(Console(soft_wrap=True), letter, settled, obstacle)
        return 0

    run_to_end(work())


@dead_letters_app.command("replay")
def replay(
    ids: Ids = None,
    topic: TopicPart = "",
    service: ServiceName = "",
    reason: Reason = "",
    account: Account = "",
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    every: Every = False,
    again: Annotated[bool, typer.Option("--again", help="Also those that were replayed or dropped before.")] = False,
    limit: Limit = _LIMIT,
    dry_run: DryRun = False,
    by: By = None,
    kafka: Kafka = None,
) -> None:
    """Publish the records again, as they were, to the topics they came from. 1 when some were left open."""
    choice = (ids, topic, service, reason, account, older_than, newer_than)
    run_to_end(_deal(choice, kafka, every=every, outcome="replayed", by=by, limit=limit, dry_run=dry_run, again=again))


@dead_letters_app.command("drop")
def drop(
    ids: Ids = None,
    why: Annotated[str, typer.Option("--why", help="Why nothing is to come of them; it is kept.")] = "",
    topic: TopicPart = "",
    service: ServiceName = "",
    reason: Reason = "",
    account: Account = "",
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    every: Every = False,
    limit: Limit = _LIMIT,
    dry_run: DryRun = False,
    by: By = None,
    kafka: Kafka = None,
) -> None:
    """Mark dead letters as dealt with, with a reason and who. They stay in their topics and can still be shown."""
    choice = (ids, topic, service, reason, account, older_than, newer_than)
    run_to_end(_deal(choice, kafka, every=every, outcome="dropped", by=by, why=why, limit=limit, dry_run=dry_run))


async def _deal(
    given: tuple[Any, ...],
    kafka: str | None,
    *,
    every: bool,
    outcome: str,
    by: str | None,
    limit: int,
    dry_run: bool,
    why: str = "",
    again: bool = False,
) -> int:
    from deploy.addonflow.dead_letters import DROPPED, Settled
    from deploy.addonflow.dead_letters_replay import Doing, deal
    from deploy.addonflow.messages import BadInput

    choice = _choice(*given)
    if choice.is_everything and not every:
        raise BadInput("say which: ids, --topic, --service, --reason, --account, an age, or --all")
    if outcome == DROPPED and not why:
        raise BadInput("say why nothing is to come of them: --why")
    doing = Doing(Settled(outcome, by or getpass.getuser(), why, choice.now), limit, dry_run=dry_run, again=again)
    console = Console(soft_wrap=True)
    result = await deal(settings_of(kafka), choice, doing, console)
    console.print(
        f"{result.done} {'would be ' if dry_run else ''}{outcome}, {result.settled_before} dealt with before",
        highlight=False,
    )
    for reason, count in result.left.most_common():
        console.print(f"{count} left open: {reason}", markup=False, highlight=False)
    if result.more:
        console.print(f"there are more: --limit is {limit}", highlight=False)
    return int(bool(result.left))
