"""What changes something must come from a page of ours: it says so by a token, and the browser by its headers.

The token is made from a cookie of the browser by a one-way function, so that it is bound to the session, differs from
what proves it, and needs no storage. Other sites can neither read nor guess it; besides that, the cookie is not sent
with their requests (`SameSite=Strict`), and browsers tell in `Sec-Fetch-Site` or `Origin` where a request is from.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Headers
from litestar.handlers import BaseRouteHandler

from gateway.api.body import body_of
from gateway.console.cookies import form_secrets
from gateway.errors import ForbiddenError, InvalidRequestError

__all__ = ("FIELD", "HEADER", "form_of", "form_token", "unforged")

FIELD = "csrf"
"""Name of the hidden field in every form."""

HEADER = "x-csrf-token"
"""Where scripts send it."""

MAX_FIELDS = 100
_SAFE = {"GET", "HEAD", "OPTIONS"}


def form_token(secret: str) -> str:
    """What the forms of this browser carry."""
    return hmac.new(secret.encode(), b"form", hashlib.sha256).hexdigest()


async def form_of(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The fields of a form that was sent; of a name that is there twice, the last.

    Raises:
        InvalidRequestError: It is no such form.
        DeadlineError: It did not come in time.
    """
    try:
        return dict(parse_qsl((await body_of(request)).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise InvalidRequestError("the form cannot be read; send it as `application/x-www-form-urlencoded`") from None


async def unforged(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A guard for all routes of the console; those that change nothing pass.

    Raises:
        ForbiddenError: The request comes from elsewhere, or does not carry the token of this browser.
    """
    if connection.scope.get("method") in _SAFE:
        return
    if not _from_here(connection.headers):
        raise ForbiddenError("this was sent from another site; open the console itself and try again")
    given = connection.headers.get(HEADER)
    if given is None and isinstance(connection, Request):
        given = (await form_of(connection)).get(FIELD)
    expected = [form_token(secret).encode() for secret in form_secrets(connection)]
    if given is None or not any(hmac.compare_digest(one, given.encode()) for one in expected):
        raise ForbiddenError("the page this came from is out of date; reload it and try again")


def _from_here(headers: Headers) -> bool:
    """As far as the browser tells; one that says nothing is judged by the token alone."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    return origin is None or _host_of(origin) == headers.get("host", "").lower()


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
