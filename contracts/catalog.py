"""The catalog: which add-ons exist, what they cost, how long a trial lasts, how many seats self-service may buy.

Read from `catalog.toml` (or an operator's file of the same shape) and validated whole before a service starts.
"""

import tomllib
from collections.abc import Mapping
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from contracts.accounts import BillingFrequency
from contracts.money import Money
from contracts.payload import CurrencyCode

CatalogId = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,64}$", description="Part of row and timer names.")]
_PRICE_MINOR_MAX = 1_000_000_000
DEFAULT_CATALOG = Path(__file__).with_name("catalog.toml")


class CatalogError(ValueError):
    """The catalog file cannot be used; the message is one line for the operator."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")  # a misspelt setting is a mistake, not an option


class UnitPrices(_Entry):
    """List prices per seat and cycle in one currency, as decimal figures."""

    currency: CurrencyCode
    monthly: str | None = None
    annual: str | None = None

    @model_validator(mode="after")
    def _figures_fit_the_currency(self) -> Self:
        for figure in filter(None, (self.monthly, self.annual)):
            if not 0 <= Money.parse(figure, self.currency).amount_minor <= _PRICE_MINOR_MAX:
                raise ValueError(f"no price of a seat: {figure} {self.currency}")
        return self


class PriceVersion(_Entry):
    """A version of an add-on's price list."""

    version: Annotated[str, Field(min_length=1, max_length=64)]
    valid_from: date
    unit_prices: tuple[UnitPrices, ...]

    @model_validator(mode="after")
    def _currencies_are_unique(self) -> Self:
        currencies = [figures.currency for figures in self.unit_prices]
        if len(set(currencies)) != len(currencies):
            raise ValueError(f"price version {self.version} has a currency twice")
        return self


class ListPrice(_Entry):
    """What one seat costs for one cycle, and the version of the price list that says so."""

    version: str
    unit_price: Money


class AddOn(_Entry):
    """One add-on of the catalog."""

    name: str
    trial_days: Annotated[int, Field(ge=1, le=365)]
    trial_notice_days: Annotated[int, Field(ge=0, le=365, description="before its end; 0: no notice")] = 3
    after_trial: Annotated[Literal["lapse", "convert"], Field(description="convert: it is bought as it ends")] = "lapse"
    prices: tuple[PriceVersion, ...]

    @model_validator(mode="after")
    def _versions_are_unique(self) -> Self:
        versions = [price.version for price in self.prices]
        if len(set(versions)) != len(versions):
            raise ValueError(f"{self.name} has a price version twice")
        if len({price.valid_from for price in self.prices}) != len(versions):
            raise ValueError(f"{self.name} has two price versions of one day")
        return self

    @cached_property
    def _prices_newest_first(self) -> dict[tuple[str, BillingFrequency], list[tuple[date, ListPrice]]]:
        table: dict[tuple[str, BillingFrequency], list[tuple[date, ListPrice]]] = {}
        for price in sorted(self.prices, key=lambda price: price.valid_from, reverse=True):
            for figures in price.unit_prices:
                by_frequency = {BillingFrequency.MONTHLY: figures.monthly, BillingFrequency.ANNUAL: figures.annual}
                for frequency, figure in by_frequency.items():
                    if figure is not None:
                        listed = ListPrice(version=price.version, unit_price=Money.parse(figure, figures.currency))
                        table.setdefault((figures.currency, frequency), []).append((price.valid_from, listed))
        return table

    def list_price(self, currency: str, frequency: BillingFrequency, on: date) -> ListPrice | None:
        """Return the price of the newest version valid on that day that knows currency and frequency, or None.

        Cost: one look-up and the number of price versions.
        """
        for valid_from, listed in self._prices_newest_first.get((currency, frequency), ()):
            if valid_from <= on:
                return listed
        return None


class Catalog(_Entry):
    """All add-ons by id, the limit above which an account needs a quote, and how long a quote stays open."""

    self_service_seat_limit: Annotated[int, Field(ge=1)]
    quote_valid_days: Annotated[int, Field(ge=1, le=365)] = 30
    add_ons: Mapping[CatalogId, AddOn]

    @classmethod
    def load(cls, path: Path = DEFAULT_CATALOG) -> Self:
        """Read and check a catalog file; CatalogError says in one line what is wrong with it."""
        try:
            return cls.model_validate(tomllib.loads(path.read_text("utf-8")))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise CatalogError(f"catalog {path}: {where}: {first['msg']}") from error
        except (OSError, ValueError) as error:
            raise CatalogError(f"catalog {path}: {error}") from error
