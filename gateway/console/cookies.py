"""The console's one cookie: a random token that names a session, or, before one, only this browser."""

from __future__ import annotations

import re
from typing import Any

from litestar import Response
from litestar.connection import ASGIConnection

from gateway.console.sessions import ABSOLUTE_S, new_token

__all__ = ("is_https", "set_token", "token_of", "token_or_new")

_NAME = "trilemma-console"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_FRESH = "console_token"

Connection = ASGIConnection[Any, Any, Any, Any]


def is_https(connection: Connection) -> bool:
    """Whether the browser came over https, here or as far as a proxy in front of us.

    Whoever invents the header only makes their own cookie stricter.
    """
    forwarded = connection.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    return connection.url.scheme == "https" or forwarded == "https"


def token_of(connection: Connection) -> str | None:
    """The token that came with the request, or that its answer will set."""
    fresh: str | None = connection.scope["state"].get(_FRESH)
    if fresh is not None:
        return fresh
    found = connection.cookies.get(_name(connection), "")
    return found if _TOKEN.fullmatch(found) else None


def token_or_new(connection: Connection) -> str:
    """The token that came with the request; a new one where there was none, which the answer has to set."""
    found = token_of(connection)
    if found is None:
        found = connection.scope["state"][_FRESH] = new_token()
    return found


def set_token(response: Response[Any], connection: Connection, token: str) -> None:
    """Have the browser keep a token: out of reach of scripts, other sites, and, over https, of anybody between."""
    response.set_cookie(
        _name(connection),
        token,
        max_age=int(ABSOLUTE_S),
        path="/",  # What `__Host-` demands.
        secure=is_https(connection),
        httponly=True,
        samesite="strict",
    )


def _name(connection: Connection) -> str:
    """With the prefix `__Host-` no other host of the domain can set it, and no page without TLS."""
    return f"__Host-{_NAME}" if is_https(connection) else _NAME
