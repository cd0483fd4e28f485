"""Locales: the first known language of a reader writes amounts and dates; nonsense falls back to English."""

import re
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import Catalog
from contracts.money import Money, minor_unit_digits
from services.dashboard.locales import formats_for

_CURRENCIES = sorted(
    {
        figures.currency
        for add_on in Catalog.load().add_ons.values()
        for price in add_on.prices
        for figures in price.unit_prices
    }
)


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("de-DE,de;q=0.9,en;q=0.5", "de-DE"),
        ("en;q=0.2, fr;q=0.8", "fr"),
        ("xx-YY, nl", "nl"),
        ("fr;q=0, pl;q=0.1", "pl"),
        ("", "en"),
        ("*", "en"),
        ("../../etc, en-US-u-ca-buddhist", "en"),
        ("de;q=nonsense", "en"),
        ("de;q=NaN", "en"),
        ("," * 10_000, "en"),
    ],
)
def test_the_most_wanted_known_language_is_taken(header: str, tag: str) -> None:
    """Weights decide, then the order; what is no locale is passed over."""
    assert formats_for(header).tag == tag


@given(st.text(max_size=60))
def test_no_header_is_a_failure(header: str) -> None:
    """Whatever a browser sends, amounts can be written."""
    assert formats_for(header).money(Money(amount_minor=1, currency="USD"))


def test_a_members_own_locale_goes_first() -> None:
    """What is known of the member outweighs the browser; what cannot be known does not."""
    assert formats_for("de", "fr-FR").tag == "fr-FR"
    assert formats_for("de", "none such").tag == "de"


@pytest.mark.parametrize("currency", _CURRENCIES)
def test_an_amount_keeps_all_its_digits(currency: str) -> None:
    """An amount is written with exactly the digits that its currency has, rounded by nobody."""
    digits = minor_unit_digits(currency)
    written = formats_for("en").money(Money(amount_minor=1_234_567, currency=currency))
    figures = "".join(each for each in written if each.isdigit())
    assert figures == "1234567"
    assert len(written.rpartition(".")[2]) == digits if digits else "." not in written


def test_a_period_is_written_by_its_first_and_last_day() -> None:
    """The end of a period is not in it, and is not shown as if it were."""
    assert formats_for("en-GB").period(date(2026, 9, 30), date(2026, 10, 20)) == "30 Sept 2026 – 19 Oct 2026"


@pytest.mark.parametrize(
    ("zone", "day", "instant"),
    [
        ("Pacific/Pago_Pago", "29 September 2026", "29 Sept 2026, 22:30 GMT-11:00"),
        ("Pacific/Kiritimati", "30 September 2026", "30 Sept 2026, 23:30 GMT+14:00"),
        ("Atlantis/Poseidonis", "30 September 2026", "30 Sept 2026, 09:30 UTC"),
    ],
)
def test_instants_are_on_the_accounts_days(zone: str, day: str, instant: str) -> None:
    """The day of an instant is the account's, and its time says what its clock is ahead of UTC; a lost zone is UTC."""
    formats, when = formats_for("en-GB").at(zone), datetime(2026, 9, 30, 9, 30, tzinfo=UTC)
    assert (formats.day(when), formats.instant(when)) == (day, instant)
    assert formats.short_day(when) == formats.short_day(formats.local_day(when))
    assert formats.day(date(2026, 9, 30)) == "30 September 2026"


def test_days_and_instants() -> None:
    """A day has no zone; an instant without one says that it is in UTC."""
    formats = formats_for("en-GB")
    assert formats.day(date(2026, 9, 30)) == "30 September 2026"
    assert formats.instant(datetime(2026, 9, 30, 23, 5, tzinfo=UTC)) == "30 Sept 2026, 23:05 UTC"


@pytest.mark.parametrize("tag", ["ar", "he", "fa"])
def test_what_is_written_from_right_to_left_is_isolated(tag: str) -> None:
    """No part of a value that is written from right to left stands outside an isolate, so nothing around it moves."""
    formats = formats_for(tag)
    day, instant = date(2026, 9, 30), datetime(2026, 9, 30, 23, 5, tzinfo=UTC)
    written = [formats.day(day), formats.short_day(day), formats.day(instant), formats.instant(instant)]
    written += [formats.money(Money(amount_minor=1197, currency="USD")), formats.number(1_000)]
    written += [formats.period(day, date(2026, 10, 20)), formats.instant(day)]
    for each in written:
        outside = re.sub("\u2068[^\u2068\u2069]+\u2069", "", each)
        assert outside in {"", " – ", " UTC"}


@pytest.mark.parametrize("tag", ["en", "de", "ja"])
def test_what_is_written_from_left_to_right_has_no_marks(tag: str) -> None:
    """Where nothing can move, what is copied from a page is plain."""
    assert "\u2068" not in formats_for(tag).instant(datetime(2026, 9, 30, tzinfo=UTC))
