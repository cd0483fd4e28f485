"""Sessions: a cookie that only this deployment signs, and forms that only its pages make."""

import jwt
import pytest
from starlette.responses import Response

from services.dashboard.sessions import Session, Sessions, is_form_of
from services.dashboard.visits import own_path


def cookie_of(sessions: Sessions, session: Session) -> tuple[str, str]:
    """Return the value and the whole of the cookie that a browser is given."""
    response = Response()
    sessions.write(response, session)
    whole = response.headers["set-cookie"]
    return whole.partition("=")[2].partition(";")[0], whole


def test_a_session_comes_back_as_it_was() -> None:
    """What a cookie was given is read from it again."""
    sessions = Sessions(b"s" * 32, 12, secure=False)
    session = sessions.new("token", demo=True)
    assert sessions.read(cookie_of(sessions, session)[0]) == session


def test_only_our_own_signature_counts() -> None:
    """A cookie of another secret, unsigned, or cut, is no session."""
    ours, theirs = Sessions(b"a" * 32, 12, secure=False), Sessions(b"b" * 32, 12, secure=False)
    forged = cookie_of(theirs, theirs.new("token"))[0]
    unsigned = jwt.encode({"aud": "addonflow-dashboard-session", "exp": 9_999_999_999}, "", algorithm="none")
    for cookie in (forged, unsigned, forged[:-3], "", None, "x.y.z"):
        assert ours.read(cookie) is None


def test_an_old_session_is_over() -> None:
    """A session ends with its hours."""
    sessions = Sessions(b"s" * 32, 0, secure=False)
    assert sessions.read(cookie_of(sessions, sessions.new("token"))[0]) is None


def test_cookies_are_kept_from_scripts_and_other_sites() -> None:
    """The cookie is HttpOnly and SameSite; over https it goes over nothing else, and to this host alone."""
    plain = cookie_of(Sessions(b"s" * 32, 12, secure=False), Session("c"))[1].lower()
    secure = cookie_of(Sessions(b"s" * 32, 12, secure=True), Session("c"))[1]
    assert "httponly" in plain
    assert "samesite=lax" in plain
    assert secure.startswith("__Host-")
    assert "Secure" in secure
    assert "domain" not in secure.lower()


@pytest.mark.parametrize(("session", "form"), [(None, ""), (None, "x"), (Session(""), ""), (Session("a"), "b")])
def test_another_sessions_form_is_none(session: Session | None, form: str) -> None:
    """A form counts for the session it was made for, and for no other."""
    assert not is_form_of(session, form)
    assert is_form_of(Session("a"), "a")


@pytest.mark.parametrize(
    "address",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "plan", "/a\r\nb", "\\/x"],
)
def test_nobody_is_sent_elsewhere(address: str) -> None:
    """After signing in only a path of ours is gone to."""
    assert own_path(address) == "/"
    assert own_path("/plan?x=1") == "/plan?x=1"
