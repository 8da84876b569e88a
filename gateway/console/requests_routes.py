"""The routes of the kept requests: the list, and the page of each."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.engine import Engine

from gateway.api.database import database_work
from gateway.console.access import PAGE
from gateway.console.filters import Filters, filters_of
from gateway.console.render import page
from gateway.console.request_view import request_view
from gateway.console.requests_view import requests_view
from gateway.decisions import read
from gateway.decisions.types import Record
from gateway.errors import InvalidRequestError, NotFoundError
from gateway.services import Services
from gateway.traces import query
from gateway.traces.types import TraceRow, TraceSummary

__all__ = ("request_page", "requests_page")

PAGE_ROWS = 50
SIMILAR_ROWS = 8


@get("/requests", opt=PAGE)
async def requests_page(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[str]:
    """The list, narrowed as the address says."""
    filters, errors = filters_of(request.query_params)
    now_s = services.clock.wall_s()
    try:
        async with database_work():
            listed = await asyncio.to_thread(_listed, services.console.engine, filters, now_s)
    except ValueError as error:
        raise InvalidRequestError(str(error), param="cursor") from None
    view = requests_view(
        filters,
        listed.page.rows,
        next_cursor=listed.page.next,
        blamed=listed.blamed,
        names={
            "tenant": sorted(tenant.id for tenant in services.directory.tenants),
            "variant": services.catalogue.names,
        },
        errors=errors,
        anything=listed.anything,
    )
    return page(request, "requests.html", here="requests", view=view)


@get("/requests/{id:str}", opt=PAGE)
async def request_page(
    id: FromPath[str],  # noqa: A002 - the name in the path
    request: Request[Any, Any, State],
    services: NamedDependency[Services],
) -> Response[str]:
    """One request, by the id of its span, trace, request or decision."""
    async with database_work():
        found = await asyncio.to_thread(_found, services.console.engine, id[:64])
    if found is None:
        raise NotFoundError(
            "no trace of this request is kept: it was neither slow nor failed nor among the sample, or it is older"
            " than `telemetry.traces` keeps them"
        )
    trace_url = services.settings.telemetry.trace_url
    view = request_view(found.trace, found.record, similar=found.similar, trace_url=trace_url)
    return page(request, "request.html", here="requests", view=view)


class _Listed(NamedTuple):
    page: query.TracePage
    blamed: tuple[query.Blamed, ...]
    anything: bool


class _Found(NamedTuple):
    trace: TraceRow
    record: Record | None
    similar: tuple[TraceSummary, ...]


def _listed(engine: Engine, filters: Filters, now_s: float) -> _Listed:
    """What the database says; blocks."""
    since_s, until_s = filters.within(now_s)
    asked = query.TraceFilter(
        tenant=filters.tenant,
        variant=filters.variant,
        stage=filters.stage,
        kept=filters.kept,
        since_s=since_s,
        until_s=until_s,
        min_s=filters.min_s,
        error_type=filters.error,
        order=filters.order,
        limit=PAGE_ROWS,
        cursor=filters.cursor,
    )
    found = query.find(engine, asked)
    anything = bool(found.rows) or bool(query.find(engine, query.TraceFilter(limit=1)).rows)
    return _Listed(found, query.blamed(engine, asked), anything)


def _found(engine: Engine, trace_id: str) -> _Found | None:
    """A trace with what belongs to it; blocks."""
    trace = query.get(engine, trace_id)
    if trace is None:
        return None
    record = None if trace.decision_id is None else read.find(engine, trace.decision_id)
    return _Found(trace, record, query.similar(engine, trace, limit=SIMILAR_ROWS))
