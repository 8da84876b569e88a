"""Whether a tenant's promises were kept: the report that operators, the tenant itself and the command line read."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.decisions.log import DecisionLog
from gateway.ledger.book import Spending, spending
from gateway.sla.tallies import gathered, tallies
from gateway.tenants.types import Tenant
from policies.promises.attainment import Attainment, Tally, attainment
from policies.promises.types import Sla

__all__ = ("DEFAULT_WINDOWS", "MAX_WINDOWS", "Reports", "SlaReport", "report")

DEFAULT_WINDOWS = 24
MAX_WINDOWS = 1000

SHORT_SHARE = 12.0
"""The short burn rate is over this part of a window: five minutes of an hour."""


class SlaReport(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant's promises, and what became of them."""

    tenant: str
    sla: Sla
    since_s: float
    """Unix time at which the first window began."""
    now_s: float
    """Unix time of the report."""
    promises: tuple[Attainment, ...]
    requests: int
    """That count: answered, or failed by our doing."""
    observed_share: float | None
    """Of the answers, the share whose quality was judged; the rest counts with what was predicted."""
    running: Tally
    """The window that runs."""
    budget: Spending | None
    """As the ledger has it."""


Windows = Annotated[int, Meta(ge=1, le=MAX_WINDOWS)]


def report(connection: Connection, tenant: Tenant, *, windows: Windows, now_s: float, lost_s: float) -> SlaReport:
    """Read the log and judge it.

    Args:
        connection: To the log.
        tenant: With what it was promised.
        windows: That have ended, to be looked at.
        now_s: Unix time.
        lost_s: A request without an outcome for so long was lost with its process.
    """
    sla, width_s = tenant.sla, tenant.sla.window_s
    began_s, short_s = now_s - now_s % width_s, width_s / SHORT_SHARE
    since_s = began_s - windows * width_s
    until_s = began_s + width_s
    with gathered(connection, tenant=tenant.id, since_s=since_s, until_s=until_s, lost_before_s=now_s - lost_s):
        *ended, running = tallies(connection, sla=sla, since_s=since_s, width_s=width_s, count=windows + 1)
        [long] = tallies(connection, sla=sla, since_s=now_s - width_s, width_s=width_s, count=1)
        [short] = tallies(connection, sla=sla, since_s=now_s - short_s, width_s=short_s, count=1)
    rated, judged = (sum(getattr(tally, name) for tally in (*ended, running)) for name in ("rated", "judged"))
    return SlaReport(
        tenant=tenant.id,
        sla=sla,
        since_s=since_s,
        now_s=now_s,
        promises=attainment(ended, sla, running=running, short=short, long=long),
        requests=sum(tally.requests for tally in (*ended, running)),
        observed_share=judged / rated if rated else None,
        running=running,
        budget=spending(connection, tenant, now_s=now_s),
    )


class Reports:
    """Reports while serving: off the event loop, and one at a time, for each reads much of the log."""

    def __init__(self, engine: Engine, *, log: DecisionLog, clock: Clock, lost_s: float) -> None:
        self._engine = engine
        self._log = log
        self._clock = clock
        self._lost_s = lost_s
        self._one_at_a_time = asyncio.Lock()

    async def of(self, tenant: Tenant, *, windows: Windows = DEFAULT_WINDOWS) -> SlaReport:
        """The tenant's report, this process's own latest requests included.

        Raises:
            SQLAlchemyError: The database cannot be read.
        """
        async with self._one_at_a_time:
            with contextlib.suppress(SQLAlchemyError):
                await self._log.flush()
            return await asyncio.to_thread(self._read, tenant, windows)

    def _read(self, tenant: Tenant, windows: int) -> SlaReport:
        with self._engine.connect() as connection:
            return report(connection, tenant, windows=windows, now_s=self._clock.wall_s(), lost_s=self._lost_s)
