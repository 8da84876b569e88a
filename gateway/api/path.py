"""A guard on what a path may name: text without control characters, which not every database can look up."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from gateway.errors import NotFoundError

__all__ = ("printable_path",)


async def printable_path(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Let no control character through to those who look something up.

    Raises:
        NotFoundError: There is one, and nothing is ever named so.
    """
    if not connection.scope["path"].isprintable():
        raise NotFoundError("nothing has a name with control characters in it; look at the path")
