"""What the commands of `addonflow` share: options, and which exit status an outcome has.

0 done · 1 the outcome is not as wished (refused, examination failed, story differs) · 2 wrong usage, or no answer ·
69 a server is away · 70 a part ended by itself · 78 the configuration cannot be used. An error is one line on stderr.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Annotated, Any, NoReturn

import typer
from aiokafka.errors import KafkaError

from deploy.addonflow.connections import Unreachable
from deploy.addonflow.messages import BadInput
from deploy.addonflow.processes import ChildFailed
from services.runtime.errors import AddonflowError, ConfigurationError
from services.runtime.production import refuse_in_production
from services.runtime.settings import Settings

EXIT_REFUSED, EXIT_USAGE, EXIT_UNAVAILABLE, EXIT_CHILD, EXIT_CONFIGURATION = 1, 2, 69, 70, 78

Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Brokers; else ADDONFLOW_KAFKA_BOOTSTRAP.")
]
RedisUrl = Annotated[str | None, typer.Option("--redis", metavar="URL", help="Redis; else ADDONFLOW_REDIS_URL.")]


def settings_of(kafka: str | None = None, redis: str | None = None) -> Settings:
    """Return the settings of the environment, with the addresses that were given."""
    given = {"kafka_bootstrap": kafka, "redis_url": redis}
    settings = Settings.load().model_copy(update={name: text for name, text in given.items() if text is not None})
    refuse_in_production(settings, redis=False)  # many commands have none
    return settings


def _say(message: str, status: int) -> NoReturn:
    typer.echo(f"addonflow: {message}", err=True)
    raise typer.Exit(status)


def run_to_end(work: Coroutine[Any, Any, int]) -> NoReturn:
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
    except AddonflowError as error:
        _say(str(error), EXIT_REFUSED)
    except KeyboardInterrupt:
        status = 130
    raise typer.Exit(status)
