"""Asking for kept traces: lists page by page, one by any of its ids, those like it, and what costs most time.

Every function blocks, reads a bounded number of rows, and raises SQLAlchemyError where the database fails.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from msgspec import Meta
from sqlalchemy.engine import Engine

from gateway.traces.table import trace_of, traces
from gateway.traces.types import Kept, TraceRow, TraceSummary

__all__ = ("Blamed", "Order", "TraceFilter", "TracePage", "blamed", "find", "get", "similar")

Order = Literal["newest", "slowest"]

MOST_BLAMED = 20_000
"""Traces at most that a summary counts, the newest: so that it takes as long with many as with few."""

_c = traces.c


class TraceFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which traces are asked for; None is no condition."""

    tenant: str | None = None
    variant: str | None = None
    stage: str | None = None
    """What is to blame."""
    kept: Kept | None = None
    """Why they were kept."""
    since_s: float | None = None
    """Unix time of the first."""
    until_s: float | None = None
    """Unix time before which they began."""
    min_s: float | None = None
    """Seconds that they took at least."""
    error_type: str | None = None
    order: Order = "newest"
    limit: Annotated[int, Meta(ge=1, le=1000)] = 50
    """Of a page."""
    cursor: str | None = None
    """`next` of the page before; None for the first."""


class TracePage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the traces that were asked for."""

    rows: tuple[TraceSummary, ...]
    next: str | None
    """Where the next page begins; None after the last."""


class Blamed(msgspec.Struct, frozen=True, kw_only=True):
    """What one cause costs."""

    stage: str
    requests: int
    seconds: float


_SUMMARY = [traces.c[name] for name in TraceSummary.__struct_fields__]


def find(engine: Engine, asked: TraceFilter) -> TracePage:
    """A page of traces.

    Raises:
        ValueError: The cursor is none of ours.
    """
    key = _c.started_at_s if asked.order == "newest" else _c.duration_s
    query = sa.select(*_SUMMARY).where(*_conditions(asked)).order_by(key.desc(), _c.span_id.desc())
    if asked.cursor is not None:
        last, span_id = _read(asked.cursor)
        query = query.where(sa.tuple_(key, _c.span_id) < sa.tuple_(sa.literal(last), sa.literal(span_id)))
    with engine.connect() as connection:
        found = connection.execute(query.limit(asked.limit + 1)).all()
    rows = tuple(_summary(row) for row in found[: asked.limit])
    return TracePage(rows=rows, next=_cursor(rows[-1], asked.order) if len(found) > asked.limit else None)


def get(engine: Engine, name: str) -> TraceRow | None:
    """One trace by the id of its span, decision, request or trace; the newest where several belong to one."""
    with engine.connect() as connection:
        for column in (_c.span_id, _c.decision_id, _c.request_id, _c.trace_id):
            query = sa.select(traces).where(column == name).order_by(_c.started_at_s.desc()).limit(1)
            if (row := connection.execute(query).one_or_none()) is not None:
                return trace_of(row)
    return None


def similar(engine: Engine, trace: TraceRow, *, limit: int = 8) -> tuple[TraceSummary, ...]:
    """The newest others of the same variant for which the same is to blame."""
    query = (
        sa.select(*_SUMMARY)
        .where(_c.variant.is_not_distinct_from(trace.variant), _c.stage == trace.stage)
        .order_by(_c.started_at_s.desc(), _c.span_id.desc())
        .limit(limit + 1)
    )
    with engine.connect() as connection:
        found = [_summary(row) for row in connection.execute(query)]
    return tuple(row for row in found if row.span_id != trace.span_id)[:limit]


def blamed(engine: Engine, asked: TraceFilter) -> tuple[Blamed, ...]:
    """What costs most time, the worst first; among the newest `MOST_BLAMED` traces that were asked for."""
    newest = (
        sa.select(_c.stage, _c.stage_s)
        .where(*_conditions(asked))
        .order_by(_c.started_at_s.desc())
        .limit(MOST_BLAMED)
        .subquery()
    )
    took = sa.func.sum(newest.c.stage_s)
    query = sa.select(newest.c.stage, sa.func.count(), took).group_by(newest.c.stage).order_by(took.desc())
    with engine.connect() as connection:
        return tuple(Blamed(stage=stage, requests=n, seconds=s) for stage, n, s in connection.execute(query))


def _conditions(asked: TraceFilter) -> list[sa.ColumnElement[bool]]:
    equal = {_c.tenant: asked.tenant, _c.variant: asked.variant, _c.stage: asked.stage, _c.kept: asked.kept}
    equal[_c.error_type] = asked.error_type
    found = [column == value for column, value in equal.items() if value is not None]
    if asked.since_s is not None:
        found.append(_c.started_at_s >= asked.since_s)
    if asked.until_s is not None:
        found.append(_c.started_at_s < asked.until_s)
    if asked.min_s is not None:
        found.append(_c.duration_s >= asked.min_s)
    return found


def _summary(row: sa.Row[Any]) -> TraceSummary:
    return msgspec.convert(row, TraceSummary, from_attributes=True)


def _cursor(row: TraceSummary, order: Order) -> str:
    return f"{(row.started_at_s if order == 'newest' else row.duration_s)!r}_{row.span_id}"


def _read(cursor: str) -> tuple[float, str]:
    last, _, span_id = cursor.partition("_")
    try:
        if span_id.isalnum():
            return float(last), span_id
    except ValueError:
        pass
    raise ValueError("the cursor is none of ours; begin with the first page")
