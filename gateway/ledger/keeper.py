"""Keeps this process's accounts in step with the database, in the background and on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.clock import Clock
from gateway.ledger.account import Account, Waiter
from gateway.ledger.book import HEARTBEAT_S, exchange, granted, prune
from gateway.ledger.period import Period

__all__ = ("LONGEST_WAIT_S", "Keeper")

LONGEST_WAIT_S = 1.0
"""A request waits for the database at most so long, and not at all while it is known to be in trouble."""

MAX_BACK_OFF_S = 2.0
"""A database in trouble is asked again after so long at most."""

MAX_BATCH = 200
"""Accounts per transaction: others write to the database too."""

logger = logging.getLogger(__name__)


class Keeper:
    """For the event loop's thread only."""

    def __init__(self, engine: Engine, *, clock: Clock, interval_s: float) -> None:
        self._engine = engine
        self._clock = clock
        self._interval_s = interval_s
        self._process = os.urandom(16).hex()
        self._accounts: dict[Period, Account] = {}
        self._known: dict[Period, int] = {}
        """Granted to others before this process began."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._reachable = True
        self._heartbeat_s = clock.monotonic_s()
        self._work: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Learn what others were granted, and begin."""
        try:
            self._known = await asyncio.get_running_loop().run_in_executor(self._thread, self._tidy)
        except SQLAlchemyError as error:
            logger.warning("the ledger cannot be read yet: %s", error)
        self._work = asyncio.create_task(self._keep())

    async def aclose(self) -> None:
        """Tell the database what was spent, and give back the rest."""
        self._closing.set()
        self._wake.set()
        if self._work is not None:
            await self._work
        for account in self._accounts.values():
            account.release()
            account.used = False
            account.changed = account.changed or not account.settled
        if not await self._sync():
            logger.error("the ledger could not be closed in order: what was granted here counts as spent")
        self._thread.shutdown()

    def account(self, period: Period) -> Account:
        """This process's account of a period; a new one has nothing granted."""
        account = self._accounts.get(period)
        if account is None:
            account = self._accounts[period] = Account(period=period, budget=0, others=self._known.pop(period, 0))
        return account

    def hurry(self) -> None:
        """Ask the database soon, not only when it is time."""
        self._wake.set()

    async def wait(self, account: Account, amount: int) -> bool | None:
        """Have more granted: whether the amount is held now; None where the database does not say."""
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
        accounts = list(self._accounts.values())
        due = [a for a in accounts if a.changed or a.waiting or (beat and not a.settled)]
        for first in range(0, len(due), MAX_BATCH):
            if not await self._exchange(due[first : first + MAX_BATCH]):
                return False
        self._reachable = True
        if beat:
            self._forget()
        return True

    async def _exchange(self, accounts: list[Account]) -> bool:
        asked = [tuple(account.waiting) for account in accounts]
        claims = [account.claim() for account in accounts]
        work = partial(exchange, self._engine, claims, process=self._process, now_s=self._clock.wall_s())
        try:
            grants = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except Exception:
            # Whatever it was: without this task no money could be held any more.
            if self._reachable:
                logger.exception("the ledger cannot be written, and goes on with what was granted before")
            self._failed(accounts)
            return False
        for account, claim, grant, waiters in zip(accounts, claims, grants, asked, strict=True):
            account.grant(claim, grant, asked=waiters)
        return True

    def _failed(self, accounts: list[Account]) -> None:
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

    def _tidy(self) -> dict[Period, int]:
        """Delete what is long over, and read what others have."""
        now_s = self._clock.wall_s()
        prune(self._engine, now_s=now_s)
        return granted(self._engine, now_s=now_s)
