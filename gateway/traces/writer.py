"""Writes kept traces in batches, on a thread of its own.

A trace is worth no request's time and no decision's row: what the database does not take is dropped, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.traces.table import columns_of, traces
from gateway.traces.types import TraceRow

__all__ = ("TraceLog", "TraceLogStats", "insert")

MAX_BACKLOG = 2000
MAX_BATCH = 200

logger = logging.getLogger(__name__)


class TraceLogStats(msgspec.Struct, frozen=True, kw_only=True):
    """How the writer is doing."""

    backlog: int
    written: int
    dropped: int
    """Traces lost because too many waited, or because the database refused them."""


def insert(engine: Engine, rows: Sequence[TraceRow]) -> None:
    """Insert traces in one transaction; those already there are left as they are.

    Raises:
        SQLAlchemyError: The database refused.
    """
    dialect = sqlite if engine.dialect.name == "sqlite" else postgresql
    with engine.begin() as connection:
        connection.execute(dialect.insert(traces).on_conflict_do_nothing(), [columns_of(row) for row in rows])


class TraceLog:
    """One process's writer."""

    def __init__(self, engine: Engine, *, interval_s: float) -> None:
        self.engine = engine
        """The database they are kept in."""
        self._interval_s = interval_s
        self._rows: deque[TraceRow] = deque()
        self._written = self._dropped = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="traces")
        self._flushing = asyncio.Lock()

    @property
    def stats(self) -> TraceLogStats:
        """How the writer is doing."""
        return TraceLogStats(backlog=len(self._rows), written=self._written, dropped=self._dropped)

    def record(self, row: TraceRow) -> None:
        """Take a trace; returns at once."""
        if len(self._rows) >= MAX_BACKLOG:
            self._rows.popleft()
            self._dropped += 1
        self._rows.append(row)

    async def keep(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            with contextlib.suppress(SQLAlchemyError):
                await self.flush()

    async def flush(self) -> None:
        """Write everything recorded so far; what the database refuses is dropped.

        Raises:
            SQLAlchemyError: The database refused.
        """
        async with self._flushing:
            while self._rows:
                batch = [self._rows.popleft() for _ in range(min(MAX_BATCH, len(self._rows)))]
                try:
                    await asyncio.get_running_loop().run_in_executor(self._thread, insert, self.engine, batch)
                except SQLAlchemyError as error:
                    self._dropped += len(batch)
                    logger.warning("%d traces are lost: %s", len(batch), error)
                    raise
                self._written += len(batch)

    async def aclose(self) -> None:
        """Write what is left, and end."""
        with contextlib.suppress(SQLAlchemyError):
            await self.flush()
        self._thread.shutdown(wait=False)
