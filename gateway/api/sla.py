"""`GET /v1/sla` and `GET /admin/v1/tenants/{id}/sla`: whether promises were kept."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.access import needs, principal
from gateway.api.database import database_work
from gateway.api.openapi import documents
from gateway.errors import InvalidRequestError, NotFoundError
from gateway.services import Services
from gateway.sla.report import DEFAULT_WINDOWS, MAX_WINDOWS
from gateway.tenants.types import Role, Tenant

__all__ = ("own_sla", "tenant_sla")

REPORT_PATIENCE_S = 60.0
"""A report over many windows reads much of the log."""

_ANSWER = "Every promise: windows kept and broken, where it stands now, what may still go wrong, and the budget."


@get("/v1/sla", opt=documents(None, _ANSWER) | needs(Role.CALLER))
async def own_sla(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[Any]:
    """Whether the caller's tenant was kept what it was promised."""
    tenant = principal(request).tenant
    headers = await services.limiter.count(tenant, "lookups")
    return Response(await _reported(request, services, tenant), status_code=200, headers=headers)


@get("/admin/v1/tenants/{tenant_id:str}/sla", opt=documents(None, _ANSWER) | needs(Role.OPERATOR))
async def tenant_sla(
    request: Request[Any, Any, State], tenant_id: FromPath[str], services: NamedDependency[Services]
) -> dict[str, Any]:
    """Whether a tenant was kept what it was promised."""
    tenant = services.directory.find(tenant_id)
    if tenant is None:
        raise NotFoundError(f"tenant `{tenant_id}` does not exist", param="tenant_id")
    return await _reported(request, services, tenant)


async def _reported(request: Request[Any, Any, State], services: Services, tenant: Tenant) -> dict[str, Any]:
    windows = _windows(request)
    async with database_work(patience_s=REPORT_PATIENCE_S):
        found = await services.reports.of(tenant, windows=windows)
    shown: dict[str, Any] = msgspec.to_builtins(found)
    return shown


def _windows(request: Request[Any, Any, State]) -> int:
    """How many windows that have ended to look at.

    Raises:
        InvalidRequestError: It is no number within the bounds.
    """
    text = request.query_params.get("windows", str(DEFAULT_WINDOWS))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_WINDOWS)) else 0
    if not 1 <= number <= MAX_WINDOWS:
        raise InvalidRequestError(f"`windows` is a number from 1 to {MAX_WINDOWS}", param="windows")
    return number
