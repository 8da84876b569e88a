"""What a person sees where a page cannot be shown."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from gateway.api.request_id import request_id
from gateway.console.cookies import from_elsewhere
from gateway.console.render import page
from gateway.errors import (
    ApiError,
    AuthenticationError,
    InternalError,
    InvalidRequestError,
    NotFoundError,
    PayloadTooLargeError,
)
from gateway.services import Services

__all__ = ("HANDLERS",)

Asked = Request[Any, Any, Any]

TITLES = {
    400: "This cannot be read",
    401: "Not let in",
    403: "Not allowed",
    404: "Not found",
    408: "Too slow",
    413: "Too large",
    429: "Too often",
    503: "Not now",
}

logger = logging.getLogger(__name__)


def _api_error(request: Asked, error: ApiError) -> Response[Any]:
    """A page for a person; for a script OpenAI's error object, as on all other routes."""
    if not _for_a_person(request):
        return Response(
            error.to_json(), status_code=error.status, media_type="application/json", headers=error.headers
        )
    if isinstance(error, AuthenticationError) and request.method == "GET":
        return _not_signed_in(request, error)
    return _shown(request, error, status=error.status)


def _not_signed_in(request: Asked, error: AuthenticationError) -> Response[Any]:
    """On to signing in, and from there to the page that was asked for.

    A link on another site leads here without our cookie, which is strict; asked for again by a page of our own, the
    browser sends it.
    """
    asked = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
    if from_elsewhere(request):
        return page(request, "again.html", asked=asked)
    services: Services = request.app.state.services
    if services.directory.keyless:
        return _shown(request, error, status=error.status)
    return Redirect(f"/console/login?next={quote(asked, safe='/')}", status_code=303)


def _http_error(request: Asked, error: HTTPException) -> Response[Any]:
    known: ApiError
    if error.status_code in {404, 405}:
        known = NotFoundError(f"the console has no page for {request.method} {request.url.path}")
    elif error.status_code == 413:
        known = PayloadTooLargeError("what was sent is larger than this page accepts", param="body")
    elif error.status_code < 500:
        known = InvalidRequestError(error.detail)
    else:
        return _unexpected(request, error)
    return _api_error(request, known)


def _unexpected(request: Asked, error: Exception) -> Response[Any]:
    logger.error("%s %s failed (%s)", request.method, request.url.path, request_id(request.scope), exc_info=error)
    return _api_error(request, InternalError())


def _shown(request: Asked, error: ApiError, *, status: int) -> Response[Any]:
    headers = {name: value for name, value in error.headers.items() if name == "Retry-After"}
    title = TITLES.get(status, "Something went wrong")
    return page(
        request, "error.html", status=status, headers=headers, title=title, message=error.message, status_code=status
    )


def _for_a_person(request: Asked) -> bool:
    return "text/html" in request.headers.get("accept", "")


HANDLERS: dict[Any, Any] = {ApiError: _api_error, HTTPException: _http_error, Exception: _unexpected}
"""By what was raised, for all routes of the console."""
