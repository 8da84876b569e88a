"""Spends a tenant's budget evenly: the price of a dollar, found again and again for what is left.

A request takes `argmax(utility - price * cost)`. The price is the multiplier of the budget constraint in the
Lagrangian dual, re-solved on recent requests for the rate at which the rest may be spent (a primal-dual scheme; that
solving again beats following the gradient is shown by Jasin and Kumar, 2012). On its own estimates the choice at a
price is worth at least as much as any fixed mix of the same candidates that costs as much: no mix has a greater
Lagrangian. That is the zero-router floor. Where only a mix of two prices spends the whole budget, requests take turns
at them, as a fixed mix does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from policies.duals import Alternating, Dual, Foreseen
from policies.policy import Budget
from policies.types import Decision

__all__ = ("Pacer", "choices")

WINDOW = 1000
"""Recent requests on which the price is solved."""

EVERY = 20
"""Requests between two solutions; fewer while few are known."""

HORIZON = 100.0
"""Requests over which a surplus is spent, or a debt paid back."""

BURST = 10.0
"""Shares of one request that a dear one may leave owing."""

ORDINARY = 3.0
DEEP = 60.0
"""Requests of up to three shares are the price's business, not the ceiling's, until sixty shares are owed."""

PAYS_BACK = 0.75
"""Of its share, below which a request is never stopped for earlier debts."""

LEAST_RATE = 0.05
"""The rate aimed at never falls below this share of the budget's."""

CAUTION = 1.0
"""Standard deviations of the balance that are held back, so that a run seldom ends in debt."""

MOST_RESERVED = 0.01
"""Of all that was allowed so far, at most, that is held back for it."""

OWED = 30.0
"""Shares owed for which the price may be e times what it would be without a debt."""

LEAST_PRICE, MOST_GROWTH = 1e-3, 30.0
"""Utility of a share from which the price of a debt grows at least, and the most of that growth, as a logarithm."""

MEMORY = 0.998
"""Of what was planned and paid, per request."""

SEED_REQUESTS = 50.0
"""Requests that `what was planned is paid` is worth at first."""

SEED_SPREAD = 20.0
"""Requests that a standard deviation of one share is worth at first."""


class Pacer:
    """One tenant's budget. Mutable, and pure: the clock is an argument.

    Per request: `admit`, then read `price_per_usd` and `ceiling_usd`, decide, `foresee`; when it has ended, `charge`.
    """

    def __init__(self, budget: Budget, *, now_s: float, began_s: float | None = None, spent_usd: float = 0.0) -> None:
        """Begin to spend.

        Args:
            budget: What may be spent.
            now_s: The time.
            began_s: When the period began that runs; now, where nothing is said.
            spent_usd: What was spent in it before.
        """
        self._budget = budget
        self._began_s = now_s if began_s is None else began_s
        self._seen_s = now_s
        self._gap_s: float | None = None
        self._allowed_usd = 0.0
        self._spent_usd = spent_usd
        self._admitted = 0
        self._foreseen = Foreseen(window=WINDOW)
        self._prices = Alternating()
        self._solve_at = 2
        self._target_usd = 0.0
        self._planned_usd = self._paid_usd = 0.0
        self._weight = self._squares = 0.0
        self.price_per_usd = 0.0
        """Utility that a dollar is worth to this request."""

    @property
    def balance_usd(self) -> float:
        """What may be spent by now and has not been; negative when spending is ahead."""
        return self._allowed_usd - self._spent_usd

    @property
    def ceiling_usd(self) -> float:
        """The most that the next request may be predicted to cost.

        Never less than most of a request's share while the period's budget lasts: what costs less pays debts back.
        """
        share, balance_usd = self._per_request_usd, self.balance_usd
        ordinary = ORDINARY if balance_usd > -DEEP * share else PAYS_BACK
        ceiling = max(balance_usd + BURST * share, ordinary * share)
        if self._budget.period_s is None:
            return ceiling
        return min(ceiling, self._budget.usd - self._spent_usd)

    def admit(self, *, now_s: float) -> None:
        """A request has come: the allowance grows, and from time to time the price is solved anew."""
        self._admitted += 1
        if self._budget.period_s is None:
            self._allowed_usd += self._budget.usd
        else:
            self._accrue(self._budget.period_s, now_s)
        if self._admitted >= self._solve_at:
            self._solve()
            self._solve_at = self._admitted + min(EVERY, 1 + self._admitted // 4)
        self.price_per_usd = self._prices.next_price()

    def foresee(self, utilities: Sequence[float], costs_usd: Sequence[float]) -> None:
        """Remember what a request could have chosen from, feasible candidates only, utilities before any price."""
        self._foreseen.add(utilities, costs_usd)

    def charge(self, usd: float) -> None:
        """A request has been paid for."""
        self._spent_usd += usd
        self._paid_usd = MEMORY * self._paid_usd + usd
        self._planned_usd = MEMORY * self._planned_usd + self._target_usd
        if (share := self._per_request_usd) > 0.0:
            self._weight = MEMORY * self._weight + 1.0
            self._squares = MEMORY * self._squares + (usd / share - 1.0) ** 2

    @property
    def _per_request_usd(self) -> float:
        """What a request may cost on average."""
        if self._budget.period_s is None:
            return self._budget.usd
        left_s = max(0.0, self._began_s + self._budget.period_s - self._seen_s)
        gap_s = left_s if self._gap_s is None else self._gap_s
        return self._budget.usd / self._budget.period_s * min(gap_s, self._budget.period_s)

    def _accrue(self, period_s: float, now_s: float) -> None:
        """Move along the line from nothing at the period's beginning to the budget at its end."""
        gap_s = max(0.0, now_s - self._seen_s)
        if self._admitted > 1:
            self._gap_s = gap_s if self._gap_s is None else self._gap_s + (gap_s - self._gap_s) / EVERY
        self._seen_s = max(now_s, self._seen_s)
        if (periods := (self._seen_s - self._began_s) // period_s) >= 1.0:
            self._began_s += periods * period_s
            self._spent_usd = 0.0
        self._allowed_usd = self._budget.usd * (self._seen_s - self._began_s) / period_s

    @property
    def _reserve(self) -> float:
        """Shares that are held back.

        The balance returns to its aim over the horizon while every request moves it by its deviation from a share:
        its own standard deviation is then the root of half the horizon times theirs.
        """
        variance = (self._squares + SEED_SPREAD) / (self._weight + SEED_SPREAD)
        return min(CAUTION * math.sqrt(variance * HORIZON / 2.0), MOST_RESERVED * self._admitted)

    def _solve(self) -> None:
        share = self._per_request_usd
        surplus_usd = self.balance_usd - self._reserve * share
        self._target_usd = max(LEAST_RATE * share, share + surplus_usd / HORIZON)
        kept = self._kept(share)
        dual = self._foreseen.solve(target=self._target_usd * kept)
        if dual is None:
            return
        if surplus_usd < 0.0 < share:
            most = self._most(target=share * kept, share=share, owed=-surplus_usd / share)
            dual = dual if dual.price <= most else Dual(most, most, 0.0)
        self._prices.dual = dual

    def _kept(self, share: float) -> float:
        """What was planned over what was paid. Requests may cost other than foreseen: the aim is as far beside."""
        seed = SEED_REQUESTS * share
        return min(2.0, max(0.5, (self._planned_usd + seed) / (self._paid_usd + seed))) if seed > 0.0 else 1.0

    def _most(self, *, target: float, share: float, owed: float) -> float:
        """The highest price for a debt of so many shares: one that grows with it from the price without debts.

        So a debt is paid back first by what saves most for its utility, and only a lasting one by what costs much.
        """
        usual = self._foreseen.solve(target=target)
        least = LEAST_PRICE / share
        return max(least, usual.price if usual else 0.0) * math.exp(min(MOST_GROWTH, owed / OWED))


def choices(decision: Decision) -> tuple[list[float], list[float]]:
    """Utility and dollars of each candidate that the request could have taken, were it not for its budget."""
    prices = decision.prices
    able = [(v.worth, v.estimate) for v in decision.verdicts if v.worth is not None and v.estimate is not None]
    utilities = [worth - prices.per_s * of.latency_s - prices.per_quality * (1.0 - of.quality) for worth, of in able]
    return utilities, [of.cost_usd for _, of in able]
