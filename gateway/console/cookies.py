"""The console's two cookies: a random token that names a session, and one that forms are bound to before it.

They are two so that nothing that happens to somebody without a session can end one.
"""

from __future__ import annotations

import re
from typing import Any

from litestar import Response
from litestar.connection import ASGIConnection

from gateway.console.sessions import ABSOLUTE_S, new_token

__all__ = (
    "forget_session",
    "form_secret",
    "form_secrets",
    "from_elsewhere",
    "is_https",
    "keep_session",
    "keep_visitor",
    "session_token",
)

SESSION, VISITOR = "trilemma-console", "trilemma-visitor"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_FRESH = "console_token"

Connection = ASGIConnection[Any, Any, Any, Any]


def is_https(connection: Connection) -> bool:
    """Whether the browser came over https, here or as far as a proxy in front of us.

    Whoever invents the header only makes their own cookie stricter.
    """
    forwarded = connection.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    return connection.url.scheme == "https" or forwarded == "https"


def session_token(connection: Connection) -> str | None:
    """What the session of the browser is known by; None where it has none."""
    return _token(connection, SESSION)


def form_secrets(connection: Connection) -> list[str]:
    """What forms of this browser may have been bound to: its session, and what it had before one."""
    fresh: str | None = connection.scope["state"].get(_FRESH)
    return [token for token in (session_token(connection), fresh or _token(connection, VISITOR)) if token is not None]


def form_secret(connection: Connection) -> str:
    """What forms for this browser are bound to; a new one where there was none, for the answer to set."""
    if not (found := form_secrets(connection)):
        found = [new_token()]
        connection.scope["state"][_FRESH] = found[0]
    return found[0]


def keep_visitor(response: Response[Any], connection: Connection) -> None:
    """Have a browser without a session keep what its forms are bound to, where that is new.

    One that another site led here sends no cookies, so that nothing is known of what it has: it keeps that.
    """
    fresh = connection.scope["state"].get(_FRESH)
    if fresh is not None and not from_elsewhere(connection):
        _set(response, connection, VISITOR, fresh)


def keep_session(response: Response[Any], connection: Connection, token: str) -> None:
    """Have the browser keep its session."""
    _set(response, connection, SESSION, token)


def forget_session(response: Response[Any], connection: Connection) -> None:
    """Have the browser forget its session."""
    _set(response, connection, SESSION, "", max_age_s=0)


def from_elsewhere(connection: Connection) -> bool:
    """Whether a page of another site led here, as far as the browser tells."""
    return connection.headers.get("sec-fetch-site") in {"cross-site", "same-site"}


def _token(connection: Connection, name: str) -> str | None:
    found = connection.cookies.get(_name(connection, name), "")
    return found if _TOKEN.fullmatch(found) else None


def _set(
    response: Response[Any], connection: Connection, name: str, value: str, *, max_age_s: float = ABSOLUTE_S
) -> None:
    """Out of reach of scripts, of other sites, and, over https, of anybody between."""
    response.set_cookie(
        _name(connection, name),
        value,
        max_age=int(max_age_s),
        path="/",  # What `__Host-` demands.
        secure=is_https(connection),
        httponly=True,
        samesite="strict",
    )


def _name(connection: Connection, name: str) -> str:
    """With the prefix `__Host-` no other host of the domain can set it, and no page without TLS."""
    return f"__Host-{name}" if is_https(connection) else name
