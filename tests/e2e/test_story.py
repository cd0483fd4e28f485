"""The story of the demo on real Kafka and Valkey, played by the command against the three services."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from typer.testing import CliRunner, Result

from contracts.topics import BILLING
from deploy.addonflow.main import app
from deploy.addonflow.script import ANALYTICS, LIST_PRICES_MINOR
from tests.e2e.observe import Deployment
from tests.e2e.services import SERVICES, ServiceProcess


@pytest.fixture(scope="module")
def deployment(new_deployment: Callable[[str], Deployment]) -> Iterator[Deployment]:
    """Give a deployment with its three services running, whose digests wait three seconds."""
    made = new_deployment("story")
    with ExitStack() as running:
        services = [
            running.enter_context(ServiceProcess(service, made.settings(digest_delay_seconds=3)))
            for service in SERVICES
        ]
        for service in services:
            service.until_ready()
        yield made


def play(deployment: Deployment) -> Result:
    """Run `addonflow story` against a deployment."""
    words = ["story", "--kafka", deployment.bootstrap, "--digest-wait", "30"]
    return CliRunner().invoke(app, words, env=deployment.settings())


def test_every_outcome_of_the_story_is_as_stated(deployment: Deployment) -> None:
    """The command plays the whole story, explains each invoice line and ends with 0."""
    result = play(deployment)

    assert result.exit_code == 0, result.output
    assert "outcomes are as stated, and nothing else came" in result.stdout
    assert "17.95 USD x 7 seats x " in result.stdout
    assert "9.00 USD x 7 seats x " in result.stdout


def test_the_story_can_be_played_again(deployment: Deployment) -> None:
    """A second run has accounts of its own, so it is true on a deployment that has heard the story before."""
    before = len(deployment.read(BILLING))
    result = play(deployment)

    assert result.exit_code == 0, result.output
    assert len(deployment.read(BILLING)) == before + 2


def test_a_cent_too_much_fails_the_story(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invoice that is not what the story worked out ends it with 1, and shows both amounts."""
    monkeypatch.setitem(LIST_PRICES_MINOR, ANALYTICS, 1796)
    result = play(deployment)

    assert result.exit_code == 1
    assert "Not as stated: Olivia buys Analytics+ in the middle of the billing cycle" in result.stdout
    assert re.search(r"came +data\.total\.amount_minor: expected \d+, came \d+", result.stdout)


def test_a_deployment_without_services_fails_the_story(new_deployment: Callable[[str], Deployment]) -> None:
    """Where nobody takes the facts the story ends with 1 and says what it waited for."""
    silent = new_deployment("silent")
    words = ["story", "--kafka", silent.bootstrap, "--timeout", "2"]
    result = CliRunner().invoke(app, words, env=silent.settings())

    assert result.exit_code == 1
    assert "Not as stated" in result.stdout
    assert "the services take the facts" in result.stdout
