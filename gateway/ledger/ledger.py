"""Sets money aside before a variant is called, and settles with what the call really cost.

The truth about money is in the database. A process has part of each budget granted to it beforehand, and a request
that fits into that part costs no more than two additions. A task in the background tells the database what was
spent, gives back what is too much and has more granted before it runs out; only a request that does not fit waits.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sqlalchemy.engine import Engine

from gateway.clock import Clock
from gateway.ledger.account import Account
from gateway.ledger.keeper import Keeper
from gateway.ledger.money import to_nusd, to_usd
from gateway.ledger.period import period_at
from gateway.ledger.refusal import ledger_away, quota_error
from gateway.tenants.types import Tenant

__all__ = ("Hold", "Ledger", "open_ledger")


class Hold:
    """Money set aside for one call."""

    __slots__ = ("_account", "_amount")

    def __init__(self, account: Account | None = None, amount: int = 0) -> None:
        self._account = account
        self._amount = amount

    def settle(self, usd: float) -> None:
        """The call has ended and cost this much; only the first call counts."""
        account, self._account = self._account, None
        if account is not None:
            account.settle(self._amount, to_nusd(usd))


class Ledger:
    """This process's part of every tenant's budget. For the event loop's thread only."""

    def __init__(self, keeper: Keeper, *, clock: Clock) -> None:
        self._keeper = keeper
        self._clock = clock

    def available_usd(self, tenant: Tenant) -> float | None:
        """What may still be set aside in this period, as far as known here; None without a budget."""
        account = self._account(tenant)
        return None if account is None else to_usd(max(0, account.left))

    def spent_usd(self, tenant: Tenant) -> float | None:
        """What was spent or set aside in this period by all processes, as far as known; None without a budget."""
        account = self._account(tenant)
        return None if account is None else to_usd(account.spent + account.held + account.others)

    async def hold(self, tenant: Tenant, usd: float) -> Hold:
        """Set money aside, at most what the call can cost.

        Raises:
            QuotaError: The budget of the period does not have it.
            UnavailableError: The database is in trouble, and the tenant's budget is not to be spent unseen.
        """
        account = self._account(tenant)
        if account is None:
            return Hold()
        amount = to_nusd(usd)
        if account.hold(amount):
            if account.room < account.spare // 2:
                self._keeper.hurry()
            return Hold(account, amount)
        if amount > account.budget:
            raise quota_error(account, amount, now_s=self._clock.wall_s())
        answer = await self._keeper.wait(account, amount)
        if answer is None:
            self._hold_unseen(tenant, account, amount)
        elif not answer:
            raise quota_error(account, amount, now_s=self._clock.wall_s())
        return Hold(account, amount)

    def _account(self, tenant: Tenant) -> Account | None:
        """The account of the period that runs, under the budget as it is now."""
        if tenant.budget is None:
            return None
        account = self._keeper.account(period_at(tenant.id, tenant.budget, now_s=self._clock.wall_s()))
        account.budget = to_nusd(tenant.budget.usd)
        return account

    def _hold_unseen(self, tenant: Tenant, account: Account, amount: int) -> None:
        """Hold what was granted before, or, where the tenant's setting has it so, what was left when last seen.

        Raises:
            QuotaError: As was known last, the budget does not have it.
            UnavailableError: It was not granted before, and may not be spent unseen.
        """
        assert tenant.budget is not None
        if amount > account.room:
            if tenant.budget.without_ledger == "closed":
                raise ledger_away()
            if amount > account.left:
                raise quota_error(account, amount, now_s=self._clock.wall_s())
        account.take(amount)


@asynccontextmanager
async def open_ledger(engine: Engine, *, clock: Clock, interval_s: float = 0.5) -> AsyncGenerator[Ledger, None]:
    """A ledger that keeps its account in the database until it is closed.

    Args:
        engine: The database.
        clock: Its wall time says which period runs.
        interval_s: The database is told this often what was spent.
    """
    keeper = Keeper(engine, clock=clock, interval_s=interval_s)
    await keeper.start()
    try:
        yield Ledger(keeper, clock=clock)
    finally:
        await keeper.aclose()
