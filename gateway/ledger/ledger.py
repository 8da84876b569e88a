"""Sets money aside before a variant is called, and settles with what the call really cost."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy.engine import Engine

from gateway.clock import Clock
from gateway.tenants.types import Tenant

__all__ = ("Hold", "Ledger", "open_ledger")


class Hold:
    """Money set aside for one call."""

    def settle(self, usd: float) -> None:
        """The call has ended and cost this much; only the first call counts."""


class Ledger:
    """This process's part of every tenant's budget."""

    def available_usd(self, tenant: Tenant) -> float | None:
        """What may still be set aside in this period, as far as known here; None without a budget."""
        return None

    async def hold(self, tenant: Tenant, usd: float) -> Hold:
        """Set money aside, at most what the call can cost.

        Raises:
            QuotaError: The budget of the period does not have it.
        """
        return Hold()


@asynccontextmanager
async def open_ledger(engine: Engine, *, clock: Clock) -> AsyncGenerator[Ledger, None]:
    """A ledger that keeps its account in the database until it is closed."""
    yield Ledger()
