"""Sets money aside before a variant is called, and settles with what the call really cost.

The truth about money is in the database. A process has part of each budget granted to it beforehand, and a request
that fits into that part costs no more than two additions. A task in the background tells the database what was
spent, gives back what is too much and has more granted before it runs out; only a request that does not fit waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.ledger.account import Account, Claim, Grant, Waiter
from gateway.ledger.book import HEARTBEAT_S, exchange, granted, prune
from gateway.ledger.money import MOST_NUSD, to_nusd, to_usd
from gateway.ledger.period import Period, period_at
from gateway.ledger.refusal import ledger_away, quota_error
from gateway.tenants.types import Tenant

__all__ = ("LONGEST_WAIT_S", "Hold", "Ledger", "open_ledger")

LONGEST_WAIT_S = 1.0
"""A request waits for the database at most so long, and not at all while it is known to be in trouble."""

MAX_BACK_OFF_S = 2.0

logger = logging.getLogger(__name__)


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

    def __init__(self, engine: Engine, *, clock: Clock, interval_s: float) -> None:
        """Prepare; nothing is read or written before `start`.

        Args:
            engine: The database.
            clock: Its wall time says which period runs.
            interval_s: The database is told what was spent this often.
        """
        self._engine = engine
        self._clock = clock
        self._interval_s = interval_s
        self._process = os.urandom(16).hex()
        self._accounts: dict[Period, Account] = {}
        self._known: dict[Period, int] = {}
        """Granted by others before this process began."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._reachable = True
        self._heartbeat_s = clock.monotonic_s()
        self._keeper: asyncio.Task[None] | None = None

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
                self._wake.set()
            return Hold(account, amount)
        if amount > account.budget:
            raise quota_error(account, amount, now_s=self._clock.wall_s())
        answer = await self._wait(account, amount)
        if answer is None:
            self._hold_unseen(tenant, account, amount)
        elif not answer:
            raise quota_error(account, amount, now_s=self._clock.wall_s())
        return Hold(account, amount)

    async def start(self) -> None:
        """Learn what others were granted, and begin to keep the account."""
        await self._tidy()
        self._keeper = asyncio.create_task(self._keep())

    async def aclose(self) -> None:
        """Tell the database what was spent, and give back the rest."""
        self._closing.set()
        self._wake.set()
        if self._keeper is not None:
            await self._keeper
        for account in self._accounts.values():
            account.release()
            account.used = False
            account.changed = True
        if not await self._sync():
            logger.error("the ledger could not be closed in order: what was granted here counts as spent")
        self._thread.shutdown()

    def _account(self, tenant: Tenant) -> Account | None:
        """The account of the period that runs, under the budget as it is now."""
        if tenant.budget is None:
            return None
        period = period_at(tenant.id, tenant.budget, now_s=self._clock.wall_s())
        account = self._accounts.get(period)
        if account is None:
            account = Account(period=period, budget=0, others=self._known.pop(period, 0))
            self._accounts[period] = account
        account.budget = min(MOST_NUSD, int(tenant.budget.usd * 1e9))
        return account

    async def _wait(self, account: Account, amount: int) -> bool | None:
        """Have more granted: whether the amount is held now; None where the database did not say."""
        if not self._reachable or self._closing.is_set():
            return None
        waiter = Waiter(amount=amount, held=asyncio.get_running_loop().create_future())
        account.waiting[waiter] = None
        self._wake.set()
        try:
            await asyncio.wait({waiter.held}, timeout=LONGEST_WAIT_S)
        except asyncio.CancelledError:
            account.waiting.pop(waiter, None)
            if not waiter.held.cancel() and not waiter.held.cancelled() and waiter.held.result():
                account.settle(amount, 0)
            raise
        if waiter.held.cancel():
            account.waiting.pop(waiter, None)
            self._reachable = False  # It takes too long: nobody else is to wait until it has answered.
        return None if waiter.held.cancelled() else waiter.held.result()

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

    async def _keep(self) -> None:
        failures = 0
        while not self._closing.is_set():
            # After a failure nobody can hurry it.
            event = self._closing if failures else self._wake
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), min(MAX_BACK_OFF_S, self._interval_s * 2**failures))
            self._wake.clear()
            failures = 0 if await self._sync() else min(failures + 1, 10)

    async def _sync(self) -> bool:
        """Exchange with the database what is new; whether it answered."""
        beat = self._clock.monotonic_s() - self._heartbeat_s >= HEARTBEAT_S
        accounts = [account for account in self._accounts.values() if beat or account.changed or account.waiting]
        asked = [tuple(account.waiting) for account in accounts]
        claims = [account.claim() for account in accounts]
        if claims:
            try:
                grants = await self._exchange(claims)
            except SQLAlchemyError as error:
                self._failed(accounts, error)
                return False
            for account, claim, grant, waiters in zip(accounts, claims, grants, asked, strict=True):
                account.grant(claim, grant, asked=waiters)
        self._reachable = True
        if beat:
            self._forget()
        return True

    async def _exchange(self, claims: list[Claim]) -> list[Grant]:
        work = partial(exchange, self._engine, claims, process=self._process, now_s=self._clock.wall_s())
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _failed(self, accounts: list[Account], error: SQLAlchemyError) -> None:
        if self._reachable:
            logger.warning("the ledger cannot reach its database: %s", error)
        self._reachable = False
        for account in accounts:
            account.changed = True
        for account in self._accounts.values():
            account.release()

    def _forget(self) -> None:
        """Drop accounts of periods that are over; room that was not used since the last heartbeat is given back."""
        self._heartbeat_s, now_s = self._clock.monotonic_s(), self._clock.wall_s()
        for period, account in list(self._accounts.items()):
            if account.settled and period.ends_s < now_s:
                del self._accounts[period]
            account.used = False

    async def _tidy(self) -> None:
        """Read what others have, and delete what is long over; the ledger works without either."""

        def work() -> dict[Period, int]:
            now_s = self._clock.wall_s()
            prune(self._engine, now_s=now_s)
            return granted(self._engine, now_s=now_s)

        try:
            self._known = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except SQLAlchemyError as error:
            logger.warning("the ledger cannot be read yet: %s", error)


@asynccontextmanager
async def open_ledger(engine: Engine, *, clock: Clock, interval_s: float = 0.5) -> AsyncGenerator[Ledger, None]:
    """A ledger that keeps its account in the database until it is closed."""
    ledger = Ledger(engine, clock=clock, interval_s=interval_s)
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.aclose()
