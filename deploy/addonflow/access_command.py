"""`addonflow access`: who may do what on Kafka and Redis, given and shown."""

from enum import StrEnum
from typing import Annotated

import typer

from contracts.access import ADMIN, PARTIES
from deploy.addonflow.command import Kafka, RedisUrl, run_to_end, settings_of
from deploy.addonflow.token_command import Folder
from deploy.addonflow.tokens import DEFAULT_FOLDER

access_app = typer.Typer(no_args_is_help=True, help="Users and rights on Kafka and Redis.")


class Server(StrEnum):
    """Where users are."""

    KAFKA = "kafka"
    REDIS = "redis"


Only = Annotated[Server | None, typer.Option("--only", help="Leave the other server alone.")]


@access_app.command("create")
def create(folder: Folder = DEFAULT_FOLDER, only: Only = None, kafka: Kafka = None, redis: RedisUrl = None) -> None:
    """Give every service and outside party its user and rights, and take those that nothing says any more.

    As an administrator (ADDONFLOW_KAFKA_USERNAME, ADDONFLOW_REDIS_USERNAME); with the passwords of `addonflow keys`.
    """
    from deploy.addonflow.access import grant_on_kafka, grant_on_redis
    from deploy.addonflow.passwords import Passwords

    async def work() -> int:
        settings, passwords = settings_of(kafka, redis), Passwords(folder)
        if only is not Server.REDIS:
            done = await grant_on_kafka(settings, passwords)
            typer.echo(f"Kafka: {done.users} users, {done.given} rights given, {done.taken} taken")
        if only is not Server.KAFKA:
            typer.echo(f"Redis: {await grant_on_redis(settings, passwords)} users, functions loaded")
        return 0

    run_to_end(work())


@access_app.command("show")
def show(only: Only = None) -> None:
    """Print the same rights as lines for the tools of Kafka and Redis, for those who give them otherwise."""
    from deploy.addonflow.access import kafka_lines, redis_lines
    from services.runtime.settings import Settings

    settings = Settings.load()
    if only is not Server.REDIS:
        typer.echo("\n".join(kafka_lines(settings.namespace, settings.kafka_bootstrap)))
    if only is not Server.KAFKA:
        typer.echo("\n".join(redis_lines(settings)))


@access_app.command("password")
def password(
    party: Annotated[str, typer.Argument(help=f"{', '.join(PARTIES)} or {ADMIN}.")],
    server: Annotated[Server, typer.Option("--of", help="Its user on which server.")] = Server.KAFKA,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Print a user's password: to be handed to whom it belongs."""
    from deploy.addonflow.passwords import Passwords

    async def work() -> int:
        typer.echo(Passwords(folder).read(party, server.value))
        return 0

    run_to_end(work())
