"""One process's part of a tenant's budget for a period: what it may spend without asking, and what became of that.

Everything is counted in billionths of a dollar. In words:

    granted   what the database has set apart for this process, once; nobody else can spend it
    spent     what ended calls did cost
    held      what running calls may cost at most
    room      granted - spent - held: what may be held without asking
    others    what all other processes were granted, as far as known

Nothing here waits or reads a clock. An account grows by a `Claim`, which the database answers with a `Grant`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.ledger.money import MOST_NUSD
from gateway.ledger.period import Period

__all__ = ("SPARE_SHARE", "Account", "Claim", "Grant", "Waiter")

SPARE_SHARE = 50
"""Room kept for the next requests is at most this part of the budget: what a killed process costs for nothing."""

SHARED_BY = 8
"""And at most this part of what is left, so that several processes come to share the last cents."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a process tells the database about an account, and asks of it."""

    period: Period
    budget: int
    base: int
    """Granted already, less what is given back."""
    spent: int
    room: int
    """Part of the base that is neither spent nor held."""
    needs: tuple[int, ...] = ()
    """Of the requests that wait, in the order they came."""
    spare: int = 0
    """Room wished for besides."""

    def growth(self, others: int) -> int:
        """How much more it is to be granted, when others were granted so much.

        Every need that can be met in turn, and of what remains a part of the room wished for.
        """
        left = self.budget - others - self.base
        met = 0
        for need in self.needs:
            if met + need <= self.room + left:
                met += need
        growth = max(0, met - self.room)
        wished = met + self.spare - self.room - growth
        return growth + max(0, min(wished, (left - growth) // SHARED_BY))


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The database's answer to a claim."""

    growth: int
    others: int


@dataclass(eq=False, kw_only=True)
class Waiter:
    """A request that waits for a grant; its future says whether the money is held for it now."""

    amount: int
    held: asyncio.Future[bool]


@dataclass(eq=False, kw_only=True)
class Account:
    """For the event loop's thread only."""

    period: Period
    budget: int
    granted: int = 0
    spent: int = 0
    held: int = 0
    others: int = 0
    waiting: dict[Waiter, None] = field(default_factory=dict)
    """In the order they came."""
    changed: bool = False
    """Since the database was told last."""
    used: bool = False
    """Since the last heartbeat."""

    @property
    def room(self) -> int:
        """What may be held without asking; below 0 where more was spent than granted."""
        return self.granted - self.spent - self.held

    @property
    def left(self) -> int:
        """What may still be held here if the database agrees, as far as known."""
        return self.budget - self.others - self.spent - self.held

    @property
    def spare(self) -> int:
        """Room worth keeping, while there are requests."""
        return max(0, min(self.budget // SPARE_SHARE, self.left // SHARED_BY)) if self.used else 0

    @property
    def settled(self) -> bool:
        """Whether nothing is left to be told or given back."""
        return not (self.changed or self.held or self.waiting or self.room > 0)

    def hold(self, amount: int) -> bool:
        """Hold money from the room there is; whoever waits comes first."""
        self.used = True
        if self.waiting or amount > self.room:
            return False
        self.take(amount)
        return True

    def take(self, amount: int) -> None:
        """Hold money, room or not."""
        self.held += amount
        self.changed = True

    def settle(self, amount: int, cost: int) -> None:
        """What was held is free again, and this was spent: the truth, also where it is more."""
        self.held -= amount
        self.spent = min(MOST_NUSD, self.spent + cost)
        self.changed = True

    def claim(self) -> Claim:
        """What to tell the database now. Room that is too much is given back here, before it is there for others."""
        if not self.waiting:
            self.granted -= max(0, self.room - self.spare)
        self.changed = False
        return Claim(
            period=self.period,
            budget=self.budget,
            base=min(MOST_NUSD, max(self.granted, self.spent + self.held)),
            spent=self.spent,
            room=max(0, self.room),
            needs=tuple(waiter.amount for waiter in self.waiting),
            spare=self.spare,
        )

    def grant(self, claim: Claim, grant: Grant, *, asked: Sequence[Waiter]) -> None:
        """Take the answer in, and tell those that asked: each is served in turn, or told that it cannot be."""
        self.granted = claim.base + grant.growth
        self.others = grant.others
        for waiter in asked:
            if waiter not in self.waiting:
                continue
            del self.waiting[waiter]
            enough = waiter.amount <= self.room
            if enough:
                self.take(waiter.amount)
            waiter.held.set_result(enough)

    def release(self) -> None:
        """Nobody is to wait any longer."""
        for waiter in self.waiting:
            waiter.held.cancel()
        self.waiting.clear()
