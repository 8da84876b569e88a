"""Who may call a route: every handler states the role it needs, and one that states none is refused to everybody."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from gateway.errors import ForbiddenError
from gateway.tenants.types import Principal, Role

__all__ = ("OPEN", "authorise", "needs", "principal")

_OPTION = "access"
_KEY = "principal"
_ORDER = list(Role)

OPEN: dict[str, object] = {_OPTION: "open"}
"""Option of a route that needs no key."""

Connection = ASGIConnection[Any, Any, Any, Any]


def needs(role: Role) -> dict[str, object]:
    """Option of a route that needs this role or a higher one."""
    return {_OPTION: role}


def principal(connection: Connection) -> Principal:
    """Who sent the request, as `authorise` found."""
    found: Principal = connection.scope["state"][_KEY]
    return found


def authorise(connection: Connection, handler: BaseRouteHandler) -> None:
    """A guard on the matched handler, whatever path led to it.

    Raises:
        AuthenticationError: No key, or none in force.
        ForbiddenError: The key's role is too low, or nobody said who may call this.
    """
    needed = handler.opt.get(_OPTION)
    if needed == OPEN[_OPTION]:
        return
    host = connection.client.host if connection.client else None
    directory = connection.app.state.services.directory
    found = directory.authenticate(connection.headers.get("authorization"), client_host=host)
    if needed is None or _ORDER.index(found.role) < _ORDER.index(needed):
        raise ForbiddenError(f"this key's role is `{found.role}`; this route needs `{needed or 'nobody'}`")
    connection.scope["state"][_KEY] = found
