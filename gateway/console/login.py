"""Signing in with a key, once, and out again."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.response import Redirect

from gateway.api.access import OPEN, may
from gateway.api.database import database_work
from gateway.console.access import PAGE
from gateway.console.cookies import forget_session, keep_session, session_token
from gateway.console.forgery import form_of
from gateway.console.render import page
from gateway.errors import AuthenticationError
from gateway.services import Services
from gateway.tenants.types import Principal, Role

__all__ = ("HOME", "login_page", "safe_target", "sign_in", "sign_out")

HOME = "/console"
UNKNOWN = "This key is not in force: it is mistyped, unknown, expired or revoked."
MAX_KEY_CHARS = 200
MAX_TARGET_CHARS = 2000
MAX_FORM_BYTES = 16 * 1024
"""Of the one form that is read before its sender is known."""

Asked = Request[Any, Any, State]

logger = logging.getLogger(__name__)


def safe_target(text: str | None) -> str:
    """Where to go on after signing in: an address below `/console` as it was asked for, else the first page."""
    if not text or len(text) > MAX_TARGET_CHARS or not text.isprintable() or "\\" in text:
        return HOME
    try:
        parts = urlsplit(text)
    except ValueError:
        return HOME
    below = parts.path == HOME or parts.path.startswith(f"{HOME}/")
    inside = below and ".." not in parts.path and not parts.path.startswith(f"{HOME}/login")
    return text if inside and not parts.scheme and not parts.netloc else HOME


@get("/login", opt=OPEN)
async def login_page(request: Asked, services: NamedDependency[Services]) -> Response[Any]:
    """Ask for a key."""
    if services.directory.keyless:
        return Redirect(HOME, status_code=303)
    return page(request, "login.html", target=safe_target(request.query_params.get("next")), problem="")


@post("/login", opt=OPEN, status_code=200, request_max_body_size=MAX_FORM_BYTES)
async def sign_in(request: Asked, services: NamedDependency[Services]) -> Response[Any]:
    """Begin a session, for a key of an operator or administrator."""
    fields = await form_of(request)
    target, throttle = safe_target(fields.get("next")), services.console.throttle
    # Whoever has a key gets in, however often others behind the same proxy have failed.
    try:
        who = services.directory.authenticate(fields.get("key", "")[:MAX_KEY_CHARS].strip())
    except AuthenticationError:
        problem, status = UNKNOWN, 401
    else:
        if who.key_id is not None and may(who, Role.OPERATOR):
            return await _begun(request, services, who, who.key_id, target)
        problem = f"This key's role is `{who.role}`. The console needs one of role `operator` or `admin`."
        status = 403
    address, now_s = request.client.host if request.client else "", services.clock.monotonic_s()
    wait_s = throttle.wait_s(address, now_s=now_s)
    if wait_s > 0:
        return _refused(request, target, "Too many attempts. Wait a minute, then try again.", 429, wait_s=wait_s)
    throttle.failed(address, now_s=now_s)
    return _refused(request, target, problem, status)


@post("/logout", opt=PAGE, status_code=303)
async def sign_out(request: Asked, services: NamedDependency[Services]) -> Response[Any]:
    """End the session, here and on every replica."""
    token = session_token(request)
    if token is not None and not services.directory.keyless:
        async with database_work():
            await asyncio.to_thread(services.console.sessions.end, token)
    response: Response[Any] = Redirect(f"{HOME}/login", status_code=303)
    forget_session(response, request)
    return response


async def _begun(request: Asked, services: Services, who: Principal, key_id: str, target: str) -> Response[Any]:
    async with database_work():
        token = await asyncio.to_thread(services.console.sessions.begin, key_id, now_s=services.clock.wall_s())
    logger.info("key %s of tenant %s signed in to the console", key_id, who.tenant.id)
    response: Response[Any] = Redirect(target, status_code=303)
    keep_session(response, request, token)  # Made now: one from before may have been planted by somebody else.
    return response


def _refused(request: Asked, target: str, problem: str, status: int, *, wait_s: float = 0.0) -> Response[Any]:
    headers = {"Retry-After": str(math.ceil(wait_s))} if wait_s else None
    return page(request, "login.html", status=status, headers=headers, target=target, problem=problem)
