"""Spends a tenant's budget evenly: the price of a dollar, found again and again for what is left.

A request takes `argmax(utility - price * cost)`. The price is the multiplier of the budget constraint in the
Lagrangian dual, re-solved on recent requests for the rate at which the rest may be spent (a primal-dual scheme; that
solving again beats following the gradient is shown by Jasin and Kumar, 2012). On its own estimates the choice at a
price is worth at least as much as any fixed mix of the same candidates that costs as much: no mix has a greater
Lagrangian. That is the zero-router floor.
"""

from __future__ import annotations

from collections.abc import Sequence

from policies.duals import Foreseen
from policies.policy import Budget

__all__ = ("Pacer",)

WINDOW = 1000
"""Recent requests on which the price is solved."""

EVERY = 20
"""Requests between two solutions."""

HORIZON = 300.0
"""Requests over which a surplus is spent, or a debt paid back."""

BURST = 10.0
"""Shares of one request that a dear one may leave owing."""

ORDINARY = 3.0
DEEP = 15.0
"""Requests of up to three shares are the price's business, not the ceiling's, until fifteen shares are owed."""

PAYS_BACK = 0.75
"""Of its share, below which a request is never stopped for earlier debts."""

LEAST_RATE = 0.05
"""The rate aimed at never falls below this share of the budget's."""

RESERVE = 5.0
"""Requests' worth of budget that is held back, so that the ceiling is seldom met."""

MEMORY = 0.998
"""Of what was planned and paid, per request."""

SEED_REQUESTS = 200.0
"""Requests that `what was planned is paid` is worth at first."""


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
        self._target_usd = 0.0
        self._planned_usd = self._paid_usd = 0.0
        self.price_per_usd = 0.0
        """Utility that a dollar is worth now."""

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
        if self._admitted % EVERY == 1:
            self._solve()

    def foresee(self, utilities: Sequence[float], costs_usd: Sequence[float]) -> None:
        """Remember what a request could have chosen from, feasible candidates only, utilities before any price."""
        self._foreseen.add(utilities, costs_usd)

    def charge(self, usd: float) -> None:
        """A request has been paid for."""
        self._spent_usd += usd
        self._paid_usd = MEMORY * self._paid_usd + usd
        self._planned_usd = MEMORY * self._planned_usd + self._target_usd

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

    def _solve(self) -> None:
        per_request = self._per_request_usd
        seed = SEED_REQUESTS * per_request
        surplus = self.balance_usd - RESERVE * per_request
        self._target_usd = max(LEAST_RATE * per_request, per_request + surplus / HORIZON)
        # Requests may cost other than those foreseen: aim as far beside the target as they fell.
        kept = (self._planned_usd + seed) / (self._paid_usd + seed) if seed > 0.0 else 1.0
        target = self._target_usd * min(2.0, max(0.5, kept))
        price = self._foreseen.price(target=target)
        if price is not None:
            self.price_per_usd = price
