"""The published figures of other billing systems (`data/proration_vectors.json`), read as our functions take them.

A vector's `default_rule_amount` is what the rule `day` gives, `expected_amount` what the publisher's own rule gave.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from contracts.cycles import Cycle, local_date
from contracts.money import Money, minor_unit_digits

_FILE = Path(__file__).with_name("data") / "proration_vectors.json"


@dataclass(frozen=True)
class Vector:
    """One published figure."""

    data: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        """Look a field of the data up by its name."""
        return self.data[name]

    @property
    def zone(self) -> str:
        """The account's zone; dates without one are local already, so any zone will do."""
        return self.timezone if "/" in (self.timezone or "") else "UTC"

    @property
    def cycle(self) -> Cycle:
        """The cycle in local dates."""
        return Cycle(self._day("period_start"), self._day("period_end"))

    @property
    def billed(self) -> tuple[date, date]:
        """The local dates [from, to) that are billed."""
        return self._day("billed_from"), self._day("billed_to")

    @property
    def unit_price(self) -> Money:
        """The price of one unit for the whole cycle; negative where the figure is a credit."""
        sign = "-" if self.kind == "credit" else ""
        return Money.parse(sign + self.price, self.currency)

    @property
    def rounds_as_we_do(self) -> bool:
        """Whether the publisher's rounding gives what one half-up rounding gives for this figure."""
        minor = Fraction(self.price) * 10 ** minor_unit_digits(self.currency) * self.quantity
        doubled = 2 * minor * self.numerator / self.denominator
        if self.rounding.startswith("HALF_UP"):
            return True
        is_whole, is_tie = doubled % 2 == 0, doubled % 2 == 1
        return is_whole if self.rounding.startswith("DOWN") else not is_tie

    def instant(self, field: str) -> datetime:
        """Return a field that holds an instant."""
        return datetime.fromisoformat(self.data[field])

    def day_of(self, moment: str) -> date:
        """Return a date, or the local date of an instant."""
        return local_date(datetime.fromisoformat(moment), self.zone) if "T" in moment else date.fromisoformat(moment)

    def _day(self, field: str) -> date:
        last_day_is_included = self.rule == "day-inclusive" and field in {"period_end", "billed_to"}
        return self.day_of(self.data[field]) + timedelta(days=last_day_is_included)


VECTORS = [Vector(data) for data in json.loads(_FILE.read_text("utf-8"))]
