"""The policies: which one decides, all versions before it, and what each changed. Here they are only looked at."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.database import database_work
from gateway.console.access import PAGE
from gateway.console.policy_views import PolicyView, configured_view, policy_view, version_rows
from gateway.console.render import page
from gateway.errors import NotFoundError
from gateway.policyops.store import PolicyStore
from gateway.policyops.types import Activation, Version
from gateway.services import Services

__all__ = ("policies", "policy_page")

Asked = Request[Any, Any, State]


@get("/policies", opt=PAGE)
async def policies(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """All versions, the newest first."""
    current = services.policies.current
    async with database_work():
        versions, history = await asyncio.to_thread(_read, services.policy_store)
    rows = version_rows(versions, history, current=current.hash)
    return page(request, "policies.html", here="policies", rows=rows, current=current.hash)


@get("/policies/{name:str}", opt=PAGE)
async def policy_page(name: FromPath[str], request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """One of them, by its number or by the hash that decisions carry."""
    async with database_work():
        versions, history = await asyncio.to_thread(_read, services.policy_store)
    return page(request, "policy.html", here="policies", view=_view(services, name, versions, history))


def _view(services: Services, name: str, versions: list[Version], history: list[Activation]) -> PolicyView:
    """The newest version that goes by this name, else the configuration's policy while that decides.

    Raises:
        NotFoundError: There is neither.
    """
    current = services.policies.current
    found = next((v for v in reversed(versions) if name in {str(v.version), v.hash}), None)
    if found is not None:
        return policy_view(found, versions, history, current=current.hash)
    if name == current.hash:
        return configured_view(current)
    raise NotFoundError(
        f"no version of the policy goes by `{name[:64]}`: it was that of a configuration, or of another database"
    )


def _read(store: PolicyStore) -> tuple[list[Version], list[Activation]]:
    return store.versions(), store.history()
