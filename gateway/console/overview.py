"""The first page: what is wrong, what is going on, where the variants stand, and whether promises are kept."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from gateway.console.access import FRAGMENT, PAGE
from gateway.console.alarms import alarms
from gateway.console.frontier import Axis, Frontier, frontier
from gateway.console.promise_rows import promise_rows, promises_something
from gateway.console.render import fragment, page
from gateway.console.security import CHART_POLICY
from gateway.console.spark import spark
from gateway.services import Services

__all__ = ("overview", "overview_frontier", "overview_live", "overview_promises")

Asked = Request[Any, Any, State]

_encode = msgspec.json.Encoder().encode


@get("/", opt=PAGE)
async def overview(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """All of it; its parts fetch themselves anew from then on."""
    values = await _live(services) | await _frontier(request, services) | _promised(services)
    headers = {"Content-Security-Policy": CHART_POLICY}
    return page(request, "overview.html", headers=headers, here="overview", **values)


@get("/overview/live", opt=FRAGMENT)
async def overview_live(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """What is wrong, and what is going on."""
    return fragment(request, "overview_live.html", **await _live(services))


@get("/overview/frontier", opt=FRAGMENT)
async def overview_frontier(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """Where variants and tenants stand."""
    return fragment(request, "overview_frontier.html", **await _frontier(request, services))


@get("/overview/promises", opt=FRAGMENT)
async def overview_promises(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """Whether promises are kept."""
    return fragment(request, "overview_promises.html", **_promised(services))


async def _live(services: Services) -> dict[str, Any]:
    recent = await services.console.recent.get()
    views = services.catalogue.views()
    reported = (view.status.load.running + view.status.load.queued if view.status.load else 0 for view in views)
    counted = (view.in_flight + view.others_in_flight for view in views)
    return {
        "recent": recent,
        "spark": spark(recent.buckets) if recent else None,
        "at_work": sum(map(max, zip(reported, counted, strict=True))),
        "waiting": sum(services.admission.stats.waiting.values()),
        "alarms": alarms(services, recent),
        "learned": services.learning_gauges.report,
        "now_s": services.clock.wall_s(),
    }


async def _frontier(request: Asked, services: Services) -> dict[str, Any]:
    axis: Axis = "latency_s" if request.query_params.get("axis") == "latency" else "cost_usd"
    found = frontier(services.catalogue.views(), await services.console.hour.get(), axis=axis)
    return {"frontier": found, "chart": _chart(found)}


def _chart(found: Frontier) -> str:
    """As the script reads it from an attribute."""
    return _encode(found).decode()


def _promised(services: Services) -> dict[str, Any]:
    reports = services.promise_gauges.reports
    promised = sum(promises_something(tenant.sla) for tenant in services.directory.tenants)
    return {"promises": [row for report in reports.values() for row in promise_rows(report)], "promised": promised}
