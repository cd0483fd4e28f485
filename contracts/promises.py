"""The price promise: what a preview shows is charged, if the add-on is bought before the promise expires.

A promise is a compact JWS (RFC 7515) over its own JSON, signed with HMAC-SHA256. Billing signs and entitlements
verifies, with secrets that only the two share; the `typ` of its header keeps every other token out. The first secret
signs and all verify, so that a secret is replaced by putting a new one before it and taking it away once its promises
have expired. What a promise says holds for its account and add-on alone, and when it expires is for the reader to see:
nothing here knows the time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Final, Self

import jwt
from jwt.api_jws import PyJWS

from contracts.events import PromisedPrice, Terms
from contracts.invoices import ProrationRule
from contracts.money import Money
from contracts.payload import AccountId, AddOnId, Instant, Value

TYPE: Final = "addonflow-price-promise+jws"
SECRET_BYTES_MIN: Final = 32  # as long as the hash (RFC 7518, section 3.2)
_ALGORITHM: Final = "HS256"
_JWS: Final = PyJWS(algorithms=[_ALGORITHM])


class PromiseKeysError(ValueError):
    """The secrets cannot be used; the message is one line for the operator and holds none of them."""


class PricePromise(Value):
    """What a purchase of `add_on` before `expires_at` is charged for today's part of the cycle.

    `first_day` is the local date of the preview, the first that is billed, and `promised_at` its moment; `terms` has
    unit price and price version, seats, frequency, and with the day the cycle. `amount` is what they come to by `rule`.
    """

    account_id: AccountId
    add_on: AddOnId
    amount: Money
    first_day: date
    terms: Terms
    rule: ProrationRule
    promised_at: Instant
    expires_at: Instant

    @property
    def price(self) -> PromisedPrice:
        """What a purchase carries of it, beside its terms and its first day."""
        return PromisedPrice(promised_at=self.promised_at, rule=self.rule.value, amount=self.amount)


@dataclass(frozen=True, slots=True)
class PromiseKeys:
    """The secrets of a deployment; without any nothing is promised, and nothing was."""

    secrets: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def load(cls, setting: str | None) -> Self:
        """Read the setting: secrets with commas between them, or the path (it begins with / or .) of a file of them.

        In a file line ends separate too. PromiseKeysError when there is none, or one of under SECRET_BYTES_MIN bytes.
        """
        if setting is None:
            return cls()
        text = setting
        if setting.startswith(("/", ".")):
            try:
                text = Path(setting).read_text("utf-8")
            except (OSError, ValueError) as error:
                raise PromiseKeysError(f"the file of promise keys cannot be read: {type(error).__name__}") from error
        return cls(_checked(each.strip() for each in text.replace("\n", ",").split(",")))

    def sign(self, promise: PricePromise) -> str | None:
        """Return the promise as a token; None where there is no secret to sign with."""
        if not self.secrets:
            return None
        payload = promise.model_dump_json(exclude_none=True).encode()
        return _JWS.encode(payload, self.secrets[0], _ALGORITHM, headers={"typ": TYPE})

    def read(self, token: str, account_id: str, add_on: str) -> PricePromise | None:
        """Return what a token promises the account for the add-on; None when it is forged, foreign or no promise.

        It may have expired. Cost: one HMAC for each secret.
        """
        for secret in self.secrets:
            try:
                read = _JWS.decode_complete(token, secret, algorithms=[_ALGORITHM])
                promise = PricePromise.model_validate_json(read["payload"])
            except (jwt.PyJWTError, ValueError):
                continue
            ours = (read["header"].get("typ"), promise.account_id, promise.add_on) == (TYPE, account_id, add_on)
            return promise if ours else None
        return None


NO_KEYS: Final = PromiseKeys()


def _checked(secrets: Iterable[str]) -> tuple[bytes, ...]:
    found = tuple(each.encode() for each in secrets if each)
    if not found:
        raise PromiseKeysError("there is no promise key: one secret at least is wanted")
    if min(map(len, found)) < SECRET_BYTES_MIN:
        raise PromiseKeysError(f"a promise key has fewer than {SECRET_BYTES_MIN} bytes")
    return found
