"""Who may open a page: somebody who signed in with an operator's key; without tenants, this machine's own user.

Keys in headers open nothing here, and sessions nothing outside: each route has one way in.
"""

from __future__ import annotations

import asyncio
from typing import Any

from litestar.connection import ASGIConnection

from gateway.api.access import anyone, needs, proven_by
from gateway.api.database import database_work
from gateway.console.cookies import session_token
from gateway.errors import AuthenticationError
from gateway.services import Services
from gateway.tenants.types import Principal, Role

__all__ = ("FRAGMENT", "PAGE", "signed_in")

Connection = ASGIConnection[Any, Any, Any, Any]


async def signed_in(connection: Connection) -> Principal:
    """Whose session it is; using it makes it last on.

    Raises:
        AuthenticationError: Nobody's, or not in force any more.
        UnavailableError: The database does not answer.
    """
    return await _found(connection, use=True)


async def _watching(connection: Connection) -> Principal:
    """As `signed_in`, for what a page asks by itself: an open page alone does not keep a session alive."""
    return await _found(connection, use=False)


async def _found(connection: Connection, *, use: bool) -> Principal:
    services: Services = connection.app.state.services
    if services.directory.keyless:
        return anyone(connection)
    token = session_token(connection)
    if token is None:
        raise AuthenticationError("sign in first")
    sessions, now_s = services.console.sessions, services.clock.wall_s()
    async with database_work():
        session = await asyncio.to_thread(sessions.use if use else sessions.find, token, now_s=now_s)
    found = None if session is None else services.directory.principal(session.key_id)
    if found is None:
        raise AuthenticationError("the session is over, or the key it was begun with is; sign in again")
    return found


PAGE: dict[str, object] = needs(Role.OPERATOR) | proven_by(signed_in)
"""Options of a page, and of what its forms and buttons do."""

FRAGMENT: dict[str, object] = needs(Role.OPERATOR) | proven_by(_watching)
"""Options of what an open page fetches by itself, over and over."""
