"""The writer: rows are taken without waiting, and written in batches on a thread of their own.

Ownership: `record` hands a row over for good. It is written once, retried while the database refuses, and dropped
only when the buffer is full, oldest first, which `stats` counts. A request never waits for the log and never fails
because of it. A killed process loses at most what was recorded within `flush_interval_s`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from gateway.decisions.migrate import upgrade
from gateway.decisions.read import find
from gateway.decisions.schema import open_engine
from gateway.decisions.types import DecisionRow, Record, Row
from gateway.decisions.write import insert

__all__ = ("DecisionLog", "LogStats")

T = TypeVar("T")

MAX_BATCH_ROWS = 500
MAX_BACK_OFF_S = 10.0

logger = logging.getLogger(__name__)


class LogStats(msgspec.Struct, frozen=True, kw_only=True):
    """How the writer is doing."""

    backlog: int
    """Rows not written yet."""
    written: int
    dropped: int
    """Rows lost because the buffer was full."""
    failures: int
    """Batches the database refused; each was tried again."""


class DecisionLog:
    """One process's access to the log."""

    def __init__(self, url: str, *, flush_interval_s: float = 0.5, max_backlog: int = 100_000) -> None:
        self._engine = open_engine(url)
        self._flush_interval_s = flush_interval_s
        self._rows: deque[Row] = deque()
        self._max_backlog = max_backlog
        self._written = self._dropped = self._failures = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decision-log")
        self._flushing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    @property
    def stats(self) -> LogStats:
        """How the writer is doing."""
        return LogStats(
            backlog=len(self._rows), written=self._written, dropped=self._dropped, failures=self._failures
        )

    async def start(self) -> None:
        """Bring the schema up to date and begin to write.

        Raises:
            SQLAlchemyError: The database cannot be reached or migrated.
        """
        await self._run(lambda: upgrade(self._engine))
        self._writer = asyncio.create_task(self._write_for_ever())

    def record(self, row: Row) -> None:
        """Take a row; returns at once."""
        if len(self._rows) >= self._max_backlog:
            self._rows.popleft()
            self._dropped += 1
        self._rows.append(row)
        if len(self._rows) >= MAX_BATCH_ROWS:
            self._wake.set()

    async def flush(self) -> None:
        """Write everything recorded so far.

        Raises:
            SQLAlchemyError: The database refused; the rows are kept.
        """
        async with self._flushing:
            pending = len(self._rows)
            while pending > 0:
                batch = [self._rows.popleft() for _ in range(min(pending, MAX_BATCH_ROWS, len(self._rows)))]
                if not batch:
                    return
                await self._write(batch)
                pending -= len(batch)

    async def find(self, decision_id: str) -> Record | None:
        """A decision with what is known of it, rows not written yet included."""
        with contextlib.suppress(SQLAlchemyError):
            await self.flush()
        return await self._run(lambda: find(self._engine, decision_id))

    async def knows(self, decision_id: str) -> bool:
        """Whether a decision exists, in the buffer or in the database."""
        waiting = any(isinstance(row, DecisionRow) and row.decision_id == decision_id for row in self._rows)
        return waiting or await self._run(lambda: find(self._engine, decision_id)) is not None

    async def aclose(self) -> None:
        """Write what is left and let go of the database; a refusing one is given one last try."""
        if self._writer is not None:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        try:
            await self.flush()
        except SQLAlchemyError as error:
            logger.error("%d rows of the decision log are lost: %s", len(self._rows), error)
        self._thread.shutdown()
        self._engine.dispose()

    async def _write(self, batch: list[Row]) -> None:
        """Write one batch; put it back in its place if that fails or is cancelled before it ran."""
        try:
            await self._run(lambda: insert(self._engine, batch))
        except BaseException:
            # Written or not: inserting a row again does nothing, so putting all back is safe.
            self._rows.extendleft(reversed(batch))
            self._failures += 1
            raise
        self._written += len(batch)

    async def _write_for_ever(self) -> None:
        back_off_s = self._flush_interval_s
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(back_off_s):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.flush()
                back_off_s = self._flush_interval_s
            except SQLAlchemyError as error:
                back_off_s = min(back_off_s * 2, MAX_BACK_OFF_S)
                logger.warning("the decision log cannot be written, trying again in %.1f s: %s", back_off_s, error)
                await asyncio.sleep(back_off_s)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
