"""The tenants: who they are, and whether each was kept what it was promised."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.database import database_work
from gateway.console.access import PAGE
from gateway.console.promise_rows import promise_rows, promises_something
from gateway.console.render import page
from gateway.console.tenant_views import spend_view, tenant_facts, tenant_row
from gateway.errors import NotFoundError
from gateway.services import Services
from gateway.sla.report import DEFAULT_WINDOWS

__all__ = ("tenant_page", "tenants")

Asked = Request[Any, Any, State]

WINDOWS = (DEFAULT_WINDOWS, 96, 336)
"""What a report may look back on."""

REPORT_PATIENCE_S = 20.0


@get("/tenants", opt=PAGE)
async def tenants(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """All that are served."""
    reports, hour = services.promise_gauges.reports, await services.console.hour.get()
    given = hour.tenants if hour else {}
    found = services.directory.tenants
    rows = [tenant_row(tenant, reports.get(tenant.id), given.get(tenant.id)) for tenant in found]
    return page(request, "tenants.html", here="tenants", rows=rows)


@get("/tenants/{tenant_id:str}", opt=PAGE)
async def tenant_page(tenant_id: FromPath[str], request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """One of them, with its report."""
    tenant = services.directory.find(tenant_id)
    if tenant is None:
        raise NotFoundError(f"tenant `{tenant_id}` does not exist, or was removed")
    text = request.query_params.get("windows", "")
    windows = next((count for count in WINDOWS if text == str(count)), DEFAULT_WINDOWS)
    async with database_work(patience_s=REPORT_PATIENCE_S):
        report = await services.reports.of(tenant, windows=windows)
    return page(
        request,
        "tenant.html",
        here="tenants",
        tenant=tenant,
        report=report,
        promises=promise_rows(report),
        promised=promises_something(tenant.sla),
        spend=None if report.budget is None else spend_view(report.budget),
        facts=tenant_facts(tenant),
        windows=windows,
        choices=WINDOWS,
    )
