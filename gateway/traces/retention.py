"""Keeps the traces within their bounds: by age, by number, by bytes; what is oldest goes first.

In small transactions, so that no writer waits long, and safe from several processes at once. A page of the database
that is freed is used again: the file grows to what the bound needs and no further.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.telemetry.settings import TraceSettings
from gateway.traces.table import traces

__all__ = ("keep_within", "prune")

EVERY_S = 10.0
BATCH = 1000
"""Rows removed at a time."""

SLACK = 0.9
"""Share of the bounds that is left when one was exceeded, so that not every look removes a few rows."""

logger = logging.getLogger(__name__)


async def keep_within(engine: Engine, settings: TraceSettings, *, wall_s: Callable[[], float]) -> None:
    """Remove what is too much, now and then, until cancelled."""
    while True:
        await asyncio.sleep(EVERY_S)
        with contextlib.suppress(SQLAlchemyError):
            await asyncio.to_thread(prune, engine, settings, now_s=wall_s())


def prune(engine: Engine, settings: TraceSettings, *, now_s: float) -> int:
    """Remove what is too old, or too much; returns how many traces that were.

    Raises:
        SQLAlchemyError: The database refused; what was removed by then stays so.
    """
    removed = _remove(engine, traces.c.started_at_s < now_s - settings.max_age_s)
    with engine.connect() as connection:
        rows, size = connection.execute(
            sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(traces.c.bytes), 0))
        ).one()
    if rows <= settings.max_rows and size <= settings.max_bytes:
        return removed
    share = SLACK * min(settings.max_rows / rows, settings.max_bytes / size if size else 1.0, 1.0)
    until_s = _nth_oldest(engine, rows - int(rows * share))
    removed += _remove(engine, traces.c.started_at_s <= until_s)
    logger.info("removed %d of %d traces (%d bytes): their bounds were reached", removed, rows, size)
    return removed


def _nth_oldest(engine: Engine, number: int) -> float:
    query = sa.select(traces.c.started_at_s).order_by(traces.c.started_at_s).offset(max(0, number - 1)).limit(1)
    with engine.connect() as connection:
        return connection.execute(query).scalar() or 0.0


def _remove(engine: Engine, which: sa.ColumnElement[bool]) -> int:
    oldest = sa.select(traces.c.span_id).where(which).order_by(traces.c.started_at_s).limit(BATCH)
    deletion = sa.delete(traces).where(traces.c.span_id.in_(oldest.scalar_subquery()))
    removed = 0
    while True:
        with engine.begin() as connection:
            count = connection.execute(deletion).rowcount
        removed += count
        if count < BATCH:
            return removed
