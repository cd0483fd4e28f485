"""The page of settings is what the settings classes say."""

from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from deploy.settings import PAGE, page, rows
from services.dashboard.settings import DashboardSettings
from services.runtime.settings import Settings


def test_the_page_is_up_to_date() -> None:
    """The committed page is what the classes say now: `make schemas` writes it."""
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("settings", [Settings, DashboardSettings])
def test_every_setting_says_what_it_does(settings: type[BaseSettings]) -> None:
    """Each has a sentence for operators, and what it takes."""
    assert [name for name, default, takes, effect in rows(settings) if not (default and takes and effect)] == []


def test_a_row_has_default_bounds_and_unit() -> None:
    """Numbers with their bounds and unit, choices by name, switches, paths, and what must be set."""
    found = {name: (default, takes) for kind in (Settings, DashboardSettings) for name, default, takes, _ in rows(kind)}
    assert found["ADDONFLOW_PARTITIONS"] == ("`12`", "1 to 4,096")
    assert found["ADDONFLOW_STALL_SECONDS"] == ("`30`", "1 or more seconds")
    assert found["ADDONFLOW_PRORATION_RULE"] == ("`day`", "`day`, `second`, `fixed_30`")
    assert found["ADDONFLOW_VIRTUAL_CLOCK"] == ("`false`", "`true`, `false`")
    assert found["ADDONFLOW_REDIS_CA_FILE"] == ("none", "path")
    assert found["ADDONFLOW_DASHBOARD_SECRET_FILE"] == ("must be set", "path")


def test_no_default_is_a_place_of_the_machine_that_wrote_it() -> None:
    """The page is the same wherever it is written."""
    assert str(Path(__file__).parents[2]) not in page()
