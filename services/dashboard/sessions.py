"""Who a browser speaks for: a cookie, signed by this deployment's dashboards, that holds the member's own token.

The session states nothing by itself: the token in it is checked at each request, here and by every service that is
asked. Beside it is a secret that every form repeats, so that no other site's form counts.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta
from typing import Any, NamedTuple

import jwt
from starlette.responses import Response

from services.runtime.clock import SystemClock

TOKEN_CHARACTERS_MAX = 2_800
"""What fits a cookie with everything around it."""
_ALGORITHM = "HS256"
_PURPOSE = "addonflow-dashboard-session"


class Session(NamedTuple):
    """A browser's session; without a token it is nobody's yet. `demo` has it chosen in the role switcher."""

    csrf: str
    token: str | None = None
    demo: bool = False

    @property
    def name(self) -> str:
        """What a page calls the session it was made for, in addresses; the secret cannot be told from it."""
        return hashlib.sha256(self.csrf.encode()).hexdigest()[:16]


class Sessions:
    """Writes and reads session cookies."""

    def __init__(self, secret: bytes, hours: int, *, secure: bool) -> None:
        self._key = hashlib.sha256(_PURPOSE.encode() + b"\0" + secret).digest()
        self._life = timedelta(hours=hours)
        self._secure = secure
        self._clock = SystemClock()
        self.cookie = "__Host-addonflow" if secure else "addonflow"

    def new(self, token: str | None = None, *, demo: bool = False) -> Session:
        """Return a session with a secret of its own."""
        return Session(secrets.token_urlsafe(24), token, demo)

    def read(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie, None when it is none of ours or too old."""
        if not cookie:
            return None
        try:
            said: dict[str, Any] = jwt.decode(
                cookie, self._key, algorithms=[_ALGORITHM], audience=_PURPOSE, options={"require": ["exp", "aud"]}
            )
        except jwt.PyJWTError:
            return None
        token = said.get("token")
        return Session(str(said.get("csrf", "")), str(token) if token else None, said.get("demo") is True)

    def write(self, response: Response, session: Session) -> None:
        """Give a browser its session."""
        ends = self._clock.now() + self._life
        said = {"aud": _PURPOSE, "exp": int(ends.timestamp()), **session._asdict()}
        response.set_cookie(
            self.cookie,
            jwt.encode(said, self._key, _ALGORITHM),
            max_age=int(self._life.total_seconds()),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def mark_of(self, account_id: str | None, subject: str) -> str:
        """Return what stands in a form for whom it was made: nobody else can make it, and it names no one."""
        return hmac.new(self._key, f"form\0{account_id or ''}\0{subject}".encode(), hashlib.sha256).hexdigest()[:32]

    def is_made_for(self, csrf: str, account_id: str | None, subject: str) -> bool:
        """Whether a form was made for this person, in whichever session."""
        return hmac.compare_digest(csrf.partition(".")[2].encode(), self.mark_of(account_id, subject).encode())

    def forget(self, response: Response) -> None:
        """Have a browser forget its session."""
        response.delete_cookie(self.cookie, path="/", secure=self._secure, httponly=True, samesite="lax")


def is_form_of(session: Session | None, csrf: str) -> bool:
    """Whether a form was made for this session: it carries its secret, and after a point whom it was made for."""
    secret = csrf.partition(".")[0].encode()
    return session is not None and bool(session.csrf) and hmac.compare_digest(session.csrf.encode(), secret)
