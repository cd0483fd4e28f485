"""The catalog: the price list is right as a whole, or the service does not start and one line says where."""

from datetime import date
from pathlib import Path

import pytest

from contracts.accounts import BillingFrequency
from contracts.catalog import DEFAULT_CATALOG, AddOn, Catalog, CatalogError, ListPrice
from contracts.money import Money

MONTHLY, ANNUAL = BillingFrequency.MONTHLY, BillingFrequency.ANNUAL
DEFAULT = DEFAULT_CATALOG.read_text("utf-8")
SECOND_VERSION_WITH_THE_SAME_NAME = """
[[add_ons.analytics_plus.prices]]
version = "2026-01"
valid_from = 2026-02-01
unit_prices = []
"""


def priced(*versions: tuple[str, str, dict[str, str]]) -> AddOn:
    """Return an add-on from (version, valid from, {currency: monthly price})."""
    return AddOn.model_validate(
        {
            "name": "Analytics+",
            "trial_days": 14,
            "prices": [
                {
                    "version": version,
                    "valid_from": valid_from,
                    "unit_prices": [{"currency": currency, "monthly": price} for currency, price in prices.items()],
                }
                for version, valid_from, prices in versions
            ],
        }
    )


def test_the_default_catalog_loads() -> None:
    """The catalog that comes with addonflow is right, and sells Analytics+ and Aircall AI."""
    catalog = Catalog.load()
    assert {key: add_on.name for key, add_on in catalog.add_ons.items()} == {
        "analytics_plus": "Analytics+",
        "aircall_ai": "Aircall AI",
    }
    assert catalog.self_service_seat_limit == 200
    price = catalog.add_ons["analytics_plus"].list_price("USD", MONTHLY, date(2026, 9, 30))
    assert price == ListPrice(version="2026-01", unit_price=Money(amount_minor=1795, currency="USD"))


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        pytest.param('"17.95"', '"17.955"', "add_ons.analytics_plus.prices.0.unit_prices.0", id="finer than a cent"),
        pytest.param('"2650"', '"26.50"', "add_ons.analytics_plus.prices.0.unit_prices.3", id="fraction of a yen"),
        pytest.param('"17.95"', '"-17.95"', "add_ons.analytics_plus.prices.0.unit_prices.0", id="negative price"),
        pytest.param('"17.95"', '"abc"', "add_ons.analytics_plus.prices.0.unit_prices.0", id="no figure"),
        pytest.param('"17.95"', '"Infinity"', "add_ons.analytics_plus.prices.0.unit_prices.0", id="endless figure"),
        pytest.param('"17.95"', "17.95", "unit_prices.0.monthly", id="binary fraction for a price"),
        pytest.param('"USD"', '"usd"', "unit_prices.0.currency", id="no currency code"),
        pytest.param("trial_days = 14", "trail_days = 14", "add_ons.analytics_plus.trial_days", id="missing setting"),
        pytest.param("trial_days = 14", "trial_days = 14\ncolour = 1", "analytics_plus.colour", id="unknown setting"),
        pytest.param("trial_days = 14", "trial_days = 0", "add_ons.analytics_plus.trial_days", id="trial of no day"),
        pytest.param("seat_limit = 200", "seat_limit = 0", "self_service_seat_limit", id="limit of no seat"),
        pytest.param("valid_from = 2026-01-01", 'valid_from = "soon"', "prices.0.valid_from", id="no date"),
        pytest.param(
            "\n[add_ons.aircall_ai]",
            SECOND_VERSION_WITH_THE_SAME_NAME + "\n[add_ons.aircall_ai]",
            "add_ons.analytics_plus",
            id="version twice",
        ),
        pytest.param('"EUR", monthly = "16', '"USD", monthly = "16', "plus.prices.0", id="currency twice"),
        pytest.param('"17.95"', '"1000000000000"', "prices.0.unit_prices.0", id="absurd price"),
        pytest.param(
            "\n[add_ons.aircall_ai]",
            SECOND_VERSION_WITH_THE_SAME_NAME.replace('"2026-01"', '"b"').replace("2026-02-01", "2026-01-01")
            + "\n[add_ons.aircall_ai]",
            "add_ons.analytics_plus",
            id="two versions of one day",
        ),
        pytest.param("analytics_plus]", "'analytics:plus']", "add_ons", id="an id that row names cannot hold"),
        pytest.param("[add_ons.aircall_ai]", "[add_ons.aircall_ai", "line", id="no TOML"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(tmp_path: Path, right: str, wrong: str, place: str) -> None:
    """A catalog with a mistake is refused with one line that names the file and the place in it."""
    path = tmp_path / "prices.toml"
    assert right in DEFAULT
    path.write_text(DEFAULT.replace(right, wrong, 1), "utf-8")

    with pytest.raises(CatalogError) as refused:
        Catalog.load(path)

    line = str(refused.value)
    assert line.startswith(f"catalog {path}: ")
    assert place in line
    assert "\n" not in line


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["absent", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None) -> None:
    """A catalog that is absent or is not text is refused with one line that names the file."""
    path = tmp_path / "prices.toml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CatalogError) as refused:
        Catalog.load(path)

    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("on", "version"), [("2025-12-31", None), ("2026-01-01", "old"), ("2026-06-30", "old"), ("2026-07-01", "new")]
)
def test_the_newest_valid_version_is_the_price(on: str, version: str | None) -> None:
    """The price is that of the newest version valid on the day, its first day included; before the first, none."""
    add_on = priced(("new", "2026-07-01", {"USD": "20.00"}), ("old", "2026-01-01", {"USD": "10.00"}))
    price = add_on.list_price("USD", MONTHLY, date.fromisoformat(on))
    assert (price and price.version) == version


def test_an_older_version_stands_in_for_a_currency_the_newer_leaves_out() -> None:
    """A version that does not know a currency does not end the older price in it."""
    add_on = priced(("old", "2026-01-01", {"USD": "10.00", "EUR": "9.00"}), ("new", "2026-07-01", {"USD": "20.00"}))
    price = add_on.list_price("EUR", MONTHLY, date(2026, 8, 1))
    assert price == ListPrice(version="old", unit_price=Money(amount_minor=900, currency="EUR"))


@pytest.mark.parametrize(("currency", "frequency"), [("CHF", MONTHLY), ("USD", ANNUAL)])
def test_without_currency_or_frequency_there_is_no_list_price(currency: str, frequency: BillingFrequency) -> None:
    """An add-on has no list price in a currency or for a frequency that no version knows: a quote is needed."""
    add_on = priced(("old", "2026-01-01", {"USD": "10.00"}))
    assert add_on.list_price(currency, frequency, date(2026, 8, 1)) is None
