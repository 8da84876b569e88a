"""Reading a request's body within bounds: how long it may take, and how deep it may nest."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request

from gateway.errors import DeadlineError, InvalidRequestError

__all__ = ("BODY_TIMEOUT_S", "MAX_NESTING", "body_of", "check_nesting")

BODY_TIMEOUT_S = 60.0
"""From the end of the head to the end of the body."""

MAX_NESTING = 64
"""Objects and lists within each other, in the fields that may hold any JSON."""


async def body_of(request: Request[Any, Any, Any]) -> bytes:
    """The whole body; its size is bounded by the application.

    Raises:
        DeadlineError: It did not come in time.
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.body()
    except TimeoutError:
        raise DeadlineError(f"the body was not complete after {BODY_TIMEOUT_S:g} s", param="body") from None


def check_nesting(value: object, *, field: str) -> None:
    """Refuse what nests too deep for those who read it by recursion.

    Raises:
        InvalidRequestError: It does.
    """
    level = [value]
    for _ in range(MAX_NESTING + 1):
        level = [item for found in level if isinstance(found, dict | list) for item in _items(found)]
        if not level:
            return
    raise InvalidRequestError(f"`{field}` nests deeper than {MAX_NESTING} levels", param=field)


def _items(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value
