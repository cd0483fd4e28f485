"""How a reader's own locale writes amounts and dates; the words around them are English.

Where the locale is written from right to left, each amount and date is isolated (UAX #9): the words around it, and what
else stands in the line, keep their places.
"""

import unicodedata
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time, get_timezone_gmt
from babel.numbers import format_currency, format_decimal

from contracts.money import Money, minor_unit_digits
from contracts.payload import zone_of

DEFAULT = "en"
_LANGUAGES_MAX = 10
_TAG_CHARACTERS_MAX = 35
_RIGHT_TO_LEFT = {"R", "AL"}  # bidirectional classes of letters
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"


def isolated(text: object) -> str:
    """Return text that keeps its own direction where no markup can say so, as in an option."""
    return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"


def with_name_apart(sentence: str, name: str) -> str:
    """Return a sentence in which a name that is written from right to left, wherever it stands, moves nothing else."""
    if not any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in name):
        return sentence
    return sentence.replace(name, isolated(name))


class Formats:
    """Writes amounts and dates for one reader, and instants as the clocks of `zone` have them."""

    def __init__(self, locale: Locale, zone: tzinfo = UTC) -> None:
        self.locale = locale
        self.zone = zone

    def at(self, zone_name: str) -> "Formats":
        """Return the same by the clocks of another zone; of UTC where zone data has none of that name."""
        return Formats(self.locale, zone_of(zone_name) or UTC)

    @property
    def tag(self) -> str:
        """The locale's BCP 47 tag."""
        return str(self.locale).replace("_", "-")

    def _written(self, text: str) -> str:
        return isolated(text) if self.locale.text_direction == "rtl" else text

    def money(self, amount: Money) -> str:
        """Write an amount with as many digits as its currency has; it is rounded already."""
        digits = minor_unit_digits(amount.currency)
        figure = Decimal(amount.amount_minor).scaleb(-digits)
        return self._written(format_currency(figure, amount.currency, locale=self.locale, decimal_quantization=False))

    def number(self, figure: int) -> str:
        """Write a whole number."""
        return self._written(format_decimal(figure, locale=self.locale))

    def local_day(self, when: date | datetime) -> date:
        """Return the day that an instant is on; a day is itself."""
        return when.astimezone(self.zone).date() if isinstance(when, datetime) else when

    def day(self, when: date | datetime) -> str:
        """Write a day, or that of an instant."""
        return self._written(format_date(self.local_day(when), "long", locale=self.locale))

    def short_day(self, when: date | datetime) -> str:
        """Write a day, or that of an instant, in few letters."""
        return self._written(format_date(self.local_day(when), "medium", locale=self.locale))

    def period(self, begin: date, end: date) -> str:
        """Write the days from `begin` up to, not including, `end`, by the first and the last of them."""
        return f"{self.short_day(begin)} – {self.short_day(max(begin, end - timedelta(days=1)))}"

    def instant(self, when: date | datetime) -> str:
        """Write an instant, with what its clock is ahead of UTC; of a day, the day."""
        if not isinstance(when, datetime):
            return self.day(when)
        local = when.astimezone(self.zone)
        day, time = (
            format_date(local.date(), "medium", locale=self.locale),
            format_time(local.time(), "short", locale=self.locale),
        )
        ahead = get_timezone_gmt(local, locale=DEFAULT) if local.utcoffset() else "UTC"
        return f"{self._written(f'{day}, {time}')} {ahead}"


def formats_for(accept_language: str, member_locale: str | None = None) -> Formats:
    """Return the formats of a member's own locale, else of the first language of `Accept-Language` that is known."""
    wanted = [member_locale] if member_locale else []
    return _formats(next((each for each in [*wanted, *_languages(accept_language)] if _known(each)), DEFAULT))


def _languages(header: str) -> list[str]:
    """Return the tags of an `Accept-Language` header, the most wanted first."""
    weighed: list[tuple[Decimal, int, str]] = []
    for place, part in enumerate(header.split(",")[:_LANGUAGES_MAX]):
        tag, _, parameter = part.strip().partition(";")
        name, _, weight = parameter.strip().partition("=")
        try:
            quality = Decimal(weight.strip()) if name.strip() == "q" else Decimal(1)
        except ArithmeticError:
            continue
        if tag and quality.is_finite() and quality > 0:
            weighed.append((-quality, place, tag.strip()))
    return [tag for *_, tag in sorted(weighed)]


def _known(tag: str) -> bool:
    return _locale(tag) is not None


@lru_cache(maxsize=512)
def _locale(tag: str) -> Locale | None:
    if not tag or len(tag) > _TAG_CHARACTERS_MAX:
        return None
    try:
        return Locale.parse(tag.replace("_", "-"), sep="-")
    except (UnknownLocaleError, ValueError, TypeError):
        return None


@lru_cache(maxsize=512)
def _formats(tag: str) -> Formats:
    return Formats(_locale(tag) or Locale.parse(DEFAULT))
