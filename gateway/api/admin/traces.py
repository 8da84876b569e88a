"""`/admin/v1/traces`: the requests whose traces were kept."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.access import needs
from gateway.api.database import database_work
from gateway.api.openapi import documents
from gateway.errors import InvalidRequestError, NotFoundError
from gateway.services import Services
from gateway.tenants.types import Role
from gateway.traces import query
from gateway.traces.query import TraceFilter

__all__ = ("list_traces", "show_trace", "trace_filter")


@get(
    "/admin/v1/traces",
    opt=documents(None, "Kept traces, newest or slowest first, a page at a time.") | needs(Role.OPERATOR),
)
async def list_traces(request: Request[Any, Any, State], services: NamedDependency[Services]) -> dict[str, Any]:
    """List traces; every field of the filter is a query parameter."""
    asked, engine = trace_filter(dict(request.query_params)), services.tracing.traces.engine
    async with database_work():
        try:
            page = await asyncio.to_thread(query.find, engine, asked)
        except ValueError as error:
            raise InvalidRequestError(str(error), param="cursor") from None
    return {"object": "list", "data": msgspec.to_builtins(page.rows), "next": page.next}


@get(
    "/admin/v1/traces/{trace:str}",
    opt=documents(None, "A kept trace with its spans, and the decision it led to.") | needs(Role.OPERATOR),
)
async def show_trace(services: NamedDependency[Services], trace: FromPath[str]) -> dict[str, Any]:
    """Show a trace, by the id of its request, decision, trace or first span."""
    async with database_work():
        found = await asyncio.to_thread(query.get, services.tracing.traces.engine, trace)
        if found is None:
            raise NotFoundError(f"no trace of `{trace}` is kept", param="trace")
        record = None if found.decision_id is None else await services.log.find(found.decision_id)
    return {
        "object": "trace",
        **msgspec.to_builtins(found),
        "record": None if record is None else msgspec.to_builtins(record),
    }


def trace_filter(parameters: dict[str, str]) -> TraceFilter:
    """A filter from query parameters; an empty one is no condition.

    Raises:
        InvalidRequestError: One is unknown, or its value does not fit; the message names it.
    """
    stated = {name: value for name, value in parameters.items() if value}
    for unknown in sorted(stated.keys() - set(TraceFilter.__struct_fields__)):
        known = ", ".join(TraceFilter.__struct_fields__)
        raise InvalidRequestError(f"there is no `{unknown}`; known: {known}", param=unknown)
    for name, value in stated.items():
        try:
            msgspec.convert({name: value}, TraceFilter, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidRequestError(f"`{name}`: {str(error).split(' - at ')[0]}", param=name) from None
    return msgspec.convert(stated, TraceFilter, strict=False)
