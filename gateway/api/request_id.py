"""The id that every answer carries as `X-Request-Id`: the caller's own where it is fit for a log, else a new one."""

from __future__ import annotations

import re
import time

from litestar.types import Message, Scope

from gateway.routing.exchange import new_id

__all__ = ("add_request_id", "request_id")

_FIT = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_KEY = "request_id"


def request_id(scope: Scope) -> str:
    """The id of the request with this scope, the same for all of its life."""
    state = scope["state"]
    if _KEY not in state:
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        state[_KEY] = given.decode() if _FIT.fullmatch(given) else new_id("req", wall_s=time.time())
    found: str = state[_KEY]
    return found


async def add_request_id(message: Message, scope: Scope) -> None:
    """Put the id on an answer; a hook that sees every message before it is sent."""
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], (b"x-request-id", request_id(scope).encode())]
