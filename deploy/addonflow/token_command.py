"""`addonflow keys` and `addonflow token`: development's own identity provider on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.addonflow.command import EXIT_CONFIGURATION, EXIT_USAGE
from deploy.addonflow.passwords import Passwords
from deploy.addonflow.tokens import DEFAULT_FOLDER, KeyFolder, claims_of
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

Folder = Annotated[
    Path, typer.Option("--keys", envvar="ADDONFLOW_KEYS", help="The folder of the keys; else ADDONFLOW_KEYS.")
]


def keys(folder: Folder = DEFAULT_FOLDER) -> None:
    """Make a password for every user of Kafka and Redis, the secrets of dashboard and promises, and a development key.

    What is there is kept. In production (ADDONFLOW_ENVIRONMENT) there is no development key: who people are is said by
    your identity provider.
    """
    try:
        settings = Settings.load()
        in_production = settings.environment == "production"
        made = KeyFolder(folder).make(signing=not in_production) + Passwords(folder).make(settings)
    except ConfigurationError as error:
        raise _refused(error, EXIT_CONFIGURATION) from error
    for path in made:
        typer.echo(f"made {path}")
    if not in_production:
        typer.echo(f"services check tokens with ADDONFLOW_TOKEN_JWKS={KeyFolder(folder).jwks}")
    typer.echo(f"billing and entitlements share ADDONFLOW_PROMISE_KEYS={KeyFolder(folder).promise_secret}")


def token(
    account: Annotated[str | None, typer.Option(help="A member's account; with --user.")] = None,
    user: Annotated[str | None, typer.Option(help="The member, or who of the staff.")] = None,
    staff: Annotated[bool, typer.Option("--staff", help="Of the vendor's staff.")] = False,
    product: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a product that asks before it opens a feature.")
    ] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=8_760, help="How long it is taken.")] = 8,
    folder: Folder = DEFAULT_FOLDER,
) -> None:
    """Print a token that the services of this deployment take: of a member, of staff or of a product."""
    try:
        settings = Settings.load()
        claims = claims_of(account, user, product, settings, staff=staff)
        typer.echo(KeyFolder(folder).sign(claims, settings, hours))
    except ConfigurationError as error:
        raise _refused(error, EXIT_CONFIGURATION) from error
    except ValueError as error:
        raise _refused(error, EXIT_USAGE) from error


def _refused(error: Exception, status: int) -> typer.Exit:
    typer.echo(f"addonflow: {error}", err=True)
    return typer.Exit(status)
