"""Who may call a route: every handler states the role it needs, and one that states none is refused to everybody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Scope

from gateway.api.local import is_local
from gateway.errors import AuthenticationError, ForbiddenError
from gateway.telemetry.scope import timeline_of
from gateway.tenants.directory import Directory
from gateway.tenants.types import ANYONE, Principal, Role

__all__ = (
    "OPEN",
    "Proof",
    "anyone",
    "authorise",
    "may",
    "needed_role",
    "needs",
    "principal",
    "proven_by",
    "tenant_of",
)

_OPTION = "access"
_PROOF = "proof"
_KEY = "principal"
_ORDER = list(Role)

OPEN: dict[str, object] = {_OPTION: "open"}
"""Option of a route that needs no key."""

Connection = ASGIConnection[Any, Any, Any, Any]

Proof = Callable[[Connection], Awaitable[Principal]]
"""Finds out who sent a request; raises AuthenticationError where nobody known did."""


def needs(role: Role) -> dict[str, object]:
    """Option of a route that needs this role or a higher one."""
    return {_OPTION: role}


def proven_by(proof: Proof) -> dict[str, object]:
    """Option of a route whose callers prove themselves in another way than by a key, and by no key."""
    return {_PROOF: proof}


def needed_role(handler: BaseRouteHandler) -> object:
    """What a handler states: a role, `open`, or None, which nobody has."""
    return handler.opt.get(_OPTION)


def may(who: Principal, role: Role) -> bool:
    """Whether somebody has this role or a higher one."""
    return _ORDER.index(who.role) >= _ORDER.index(role)


def principal(connection: Connection) -> Principal:
    """Who sent the request, as `authorise` found."""
    found: Principal = connection.scope["state"][_KEY]
    return found


def tenant_of(scope: Scope) -> str | None:
    """Whose request it is; None where nobody was let in."""
    found: Principal | None = scope["state"].get(_KEY)
    return None if found is None else found.tenant.id


async def authorise(connection: Connection, handler: BaseRouteHandler) -> None:
    """A guard on the matched handler, whatever path led to it; the framework runs one that is not async on a thread.

    Raises:
        AuthenticationError: No key, or none in force.
        ForbiddenError: The key's role is too low, or nobody said who may call this.
    """
    needed = needed_role(handler)
    if needed == OPEN[_OPTION]:
        return
    timeline = timeline_of(connection.scope)
    timeline.until_now("http")
    with timeline.stage("auth"):
        proof: Proof = handler.opt.get(_PROOF, _by_key)
        found = await proof(connection)
    if not isinstance(needed, Role) or not may(found, needed):
        raise ForbiddenError(f"this key's role is `{found.role}`; this route needs `{needed or 'nobody'}`")
    connection.scope["state"][_KEY] = found


async def _by_key(connection: Connection) -> Principal:
    directory: Directory = connection.app.state.services.directory
    if not directory.keyless:
        return directory.authenticate(_key(connection))
    return anyone(connection)


def anyone(connection: Connection) -> Principal:
    """Who sends a request while there are no tenants.

    Raises:
        AuthenticationError: It was not this machine's own user.
    """
    if is_local(connection):
        return ANYONE
    raise AuthenticationError(
        "without tenants only this machine's own programs are served, and nothing that a proxy or a web page sends;"
        " `trilemma tenants add NAME` makes a tenant and its key"
    )


def _key(connection: Connection) -> str | None:
    """The key that was sent; `Authorization: Bearer KEY` wins over `X-Api-Key: KEY`."""
    headers = connection.headers
    stated = headers.get("authorization")
    if stated is None:
        return headers.get("x-api-key")
    scheme, _, key = stated.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None
