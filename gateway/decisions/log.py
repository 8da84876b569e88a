"""The writer: rows are taken without waiting, and written in batches on a thread of their own.

Ownership: `record` hands a row over for good. It is written once, retried while the database refuses, and dropped
only when the buffer is full, oldest first, which `stats` counts. A judgement takes the place of an earlier one of its
kind that is not written yet, so that repeating one fills nothing. A request never waits for the log and never fails
because of it. A killed process loses at most what was recorded within `flush_interval_s`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from sqlalchemy.exc import SQLAlchemyError

from gateway.decisions.migrate import upgrade
from gateway.decisions.read import choices, find
from gateway.decisions.schema import open_engine
from gateway.decisions.types import DecisionRow, ObservationRow, Record, Row
from gateway.decisions.write import insert
from policies.signals import subject

__all__ = ("DecisionLog", "LogStats")

T = TypeVar("T")
Key = tuple[type[Row], str, str, str]

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
    refused: int
    """Rows lost because the database can never take them."""
    failures: int
    """Batches the database refused; each was tried again."""


class DecisionLog:
    """One process's access to the log."""

    def __init__(
        self,
        url: str,
        *,
        flush_interval_s: float = 0.5,
        max_backlog: int = 100_000,
        follow: Callable[[Row], None] | None = None,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            url: SQLAlchemy URL of the database.
            flush_interval_s: Rows are written this often.
            max_backlog: Rows kept while the database refuses.
            follow: Called with every row as it is recorded, on the event loop's thread.
        """
        self._follow = follow
        self._engine = open_engine(url)
        self._flush_interval_s = flush_interval_s
        self._max_backlog = max_backlog
        self._rows: OrderedDict[Key, Row] = OrderedDict()
        self._batch: dict[Key, Row] = {}
        """Rows being written; not in `_rows` meanwhile."""
        self._written = self._dropped = self._refused = self._failures = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decision-log")
        self._flushing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None

    @property
    def stats(self) -> LogStats:
        """How the writer is doing."""
        return LogStats(
            backlog=len(self._rows) + len(self._batch),
            written=self._written,
            dropped=self._dropped,
            refused=self._refused,
            failures=self._failures,
        )

    async def start(self) -> None:
        """Bring the schema up to date and begin to write.

        Raises:
            SQLAlchemyError: The database cannot be reached or migrated.
        """
        await self._run(lambda: upgrade(self._engine))
        self._writer = asyncio.create_task(self._write_until_closed())

    def record(self, row: Row) -> None:
        """Take a row; returns at once."""
        self._rows[_key(row)] = row
        self._trim()
        if self._follow is not None:
            self._follow(row)
        if len(self._rows) == MAX_BATCH_ROWS:
            self._wake.set()

    async def flush(self) -> None:
        """Write everything recorded so far.

        Raises:
            SQLAlchemyError: The database refused; the rows are kept.
        """
        async with self._flushing:
            pending = len(self._rows)
            while pending > 0 and self._rows:
                pending -= await self._write_batch(min(pending, MAX_BATCH_ROWS))

    async def find(self, decision_id: str) -> Record | None:
        """A decision with what is known of it, rows not written yet included.

        Raises:
            SQLAlchemyError: The database cannot be read.
        """
        with contextlib.suppress(SQLAlchemyError):
            await self.flush()
        return await self._run(lambda: find(self._engine, decision_id))

    async def tenant_of(self, decision_id: str) -> str | None:
        """Whose request a decision was about, in the buffer or in the database; None if there is no such decision.

        Raises:
            SQLAlchemyError: The database cannot be read.
        """
        key = (DecisionRow, decision_id, "", "")
        row = self._batch.get(key) or self._rows.get(key)
        if isinstance(row, DecisionRow):
            return row.tenant
        found = await self._run(lambda: find(self._engine, decision_id))
        return None if found is None else found.decision.tenant

    async def choices(self) -> dict[str, int]:
        """How many decisions chose each variant, as far as they are written.

        Raises:
            SQLAlchemyError: The database cannot be read.
        """
        return await self._run(lambda: choices(self._engine))

    async def aclose(self) -> None:
        """Write what is left and let go of the database; a refusing one is given one last try."""
        self._closing = True
        self._wake.set()
        if self._writer is not None:
            await self._writer
        try:
            await self.flush()
        except SQLAlchemyError as error:
            logger.error("%d rows of the decision log are lost: %s", self.stats.backlog, error)
        await self._run(self._engine.dispose)
        self._thread.shutdown()

    def _trim(self) -> None:
        while len(self._rows) > self._max_backlog:
            self._rows.popitem(last=False)
            self._dropped += 1

    async def _write_batch(self, size: int) -> int:
        """Write the oldest rows; put them back in their place if that fails. Returns how many there were."""
        batch = self._batch = dict(self._rows.popitem(last=False) for _ in range(min(size, len(self._rows))))
        try:
            refused = await self._run(lambda: insert(self._engine, list(batch.values())))
        except BaseException:
            # Written or not, when cancelled: inserting a row again does nothing, so putting all back is safe.
            for key in reversed(batch):
                self._rows.setdefault(key, batch[key])
                self._rows.move_to_end(key, last=False)
            self._trim()
            self._failures += 1
            raise
        finally:
            self._batch = {}
        self._written += len(batch) - refused
        self._refused += refused
        return len(batch)

    async def _write_until_closed(self) -> None:
        delay_s = self._flush_interval_s
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), delay_s)
            if self._closing:
                return
            self._wake.clear()
            try:
                await self.flush()
                delay_s = self._flush_interval_s
            except SQLAlchemyError as error:
                delay_s = min(delay_s * 2, MAX_BACK_OFF_S)
                logger.warning("the decision log cannot be written, trying again in %.1f s: %s", delay_s, error)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _key(row: Row) -> Key:
    """What there is one row of."""
    if isinstance(row, ObservationRow):
        return ObservationRow, row.decision_id, row.source, subject(row.source, row.name)
    return type(row), row.decision_id, "", ""
