"""The role switcher of demonstrations: who there is, and a token for whoever is chosen.

Only where ADDONFLOW_DASHBOARD_DEMO_KEYS names a development key. A company knows its members by its own sign-in; here
the account system's facts stand in for it, as they pass on their topic (bounded, in memory).
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import jwt
from pydantic import TypeAdapter

from contracts.accounts import AccountUpdated, MemberUpdated
from contracts.payload import Payload
from services.runtime.authentication import STAFF_SCOPE
from services.runtime.clock import SystemClock
from services.runtime.errors import ConfigurationError
from services.runtime.settings import Settings

STAFF_ID = "mara.staff"
_KEY_FILE = "private/signing-key.json"
_ACCOUNTS_MAX = 200
_MEMBERS_MAX = 50
_HOURS = 12
_KEY = TypeAdapter(dict[str, str])
_RANKS = {"owner": 0, "admin": 1, "supervisor": 2, "agent": 3}


class Person(NamedTuple):
    """A member as the facts say."""

    user_id: str
    name: str
    role: str
    locale: str | None


@dataclass(slots=True)
class DemoAccount:
    """An account as the facts say."""

    account_id: str
    name: str = ""
    members: dict[str, Person] = field(default_factory=dict)

    @property
    def people(self) -> list[Person]:
        """Its members, Owners first."""
        return sorted(self.members.values(), key=lambda person: (_RANKS.get(person.role, len(_RANKS)), person.name))


class Demo:
    """The people of a demonstration, and tokens for them."""

    def __init__(self, keys: Path, settings: Settings) -> None:
        """Read the key; ConfigurationError when it cannot be used."""
        try:
            key = _KEY.validate_json((keys / _KEY_FILE).read_bytes())
            self._key = jwt.PyJWK.from_dict(key)
            self._key_id = key["kid"]
        except (OSError, ValueError, LookupError, jwt.PyJWTError) as error:
            raise ConfigurationError(
                f"ADDONFLOW_DASHBOARD_DEMO_KEYS={keys} has no key that can be used: `addonflow keys` makes one"
            ) from error
        self._settings = settings
        self._clock = SystemClock()
        self._accounts: OrderedDict[str, DemoAccount] = OrderedDict()

    def learn(self, fact: Payload | None) -> None:
        """Remember whom a fact is about; the latest accounts are kept."""
        if not isinstance(fact, AccountUpdated | MemberUpdated):
            return
        account = self._accounts.setdefault(fact.account_id, DemoAccount(fact.account_id))
        if isinstance(fact, AccountUpdated):
            account.name = fact.name
        elif fact.status == "removed":
            account.members.pop(fact.user_id, None)
        elif fact.user_id in account.members or len(account.members) < _MEMBERS_MAX:
            account.members[fact.user_id] = Person(fact.user_id, fact.name or fact.user_id, fact.role, fact.locale)
        if len(self._accounts) > _ACCOUNTS_MAX:
            self._accounts.popitem(last=False)

    @property
    def accounts(self) -> list[DemoAccount]:
        """Every account that has a name, by name."""
        return sorted((each for each in self._accounts.values() if each.name), key=lambda each: each.name)

    def name_of(self, account_id: str) -> str:
        """Return what an account is called."""
        account = self._accounts.get(account_id)
        return account.name if account is not None else ""

    def find(self, account_id: str | None, user_id: str) -> Person | None:
        """Return a member by id."""
        account = self._accounts.get(account_id or "")
        return account.members.get(user_id) if account else None

    def token_of_member(self, account_id: str, user_id: str) -> str:
        """Sign a token for a member."""
        return self._sign({"sub": user_id, self._settings.token_account_claim: account_id})

    def token_of_staff(self) -> str:
        """Sign a token for a member of the vendor's staff."""
        return self._sign({"sub": STAFF_ID, "scope": STAFF_SCOPE})

    def _sign(self, said: dict[str, str]) -> str:
        now = self._clock.now()
        claims = {
            "iss": self._settings.token_issuer,
            "aud": self._settings.token_audience,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(hours=_HOURS)).timestamp()),
            **said,
        }
        return jwt.encode(claims, self._key.key, self._key.algorithm_name, headers={"kid": self._key_id})
