"""Each tenant's budget in this process: what a dollar is worth to it now, and what one request may cost."""

from __future__ import annotations

from gateway.clock import Clock
from policies.pacing import Pacer
from policies.policy import Budget, Policy
from policies.prices import NO_PRICES, Prices
from policies.types import Decision

__all__ = ("Budgets",)

EVERY_OTHER = "*"


class Budgets:
    """One pacer per tenant that the policy gives a budget. For the event loop's thread only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pacers: dict[str, tuple[Budget, Pacer]] = {}

    def prices(self, tenant: str, policy: Policy) -> Prices:
        """Take in a request and say what holds for it; once per request, before it is decided."""
        pacer = self._pacer(tenant, policy)
        if pacer is None:
            return NO_PRICES
        pacer.admit(now_s=self._clock.monotonic_s())
        return Prices(per_usd=pacer.price_per_usd, ceiling_usd=pacer.ceiling_usd)

    def foresee(self, tenant: str, decision: Decision) -> None:
        """Remember what the request could have chosen from, were it not for the budget."""
        if tenant not in self._pacers:
            return
        able = [v for v in decision.verdicts if v.estimate is not None and v.utility is not None]
        costs = [v.estimate.cost_usd for v in able if v.estimate is not None]
        worth = [(v.utility or 0.0) + decision.prices.per_usd * c for v, c in zip(able, costs, strict=True)]
        if able:
            self._pacers[tenant][1].foresee(worth, costs)

    def charge(self, tenant: str, usd: float) -> None:
        """A request of the tenant has ended and cost this much."""
        if tenant in self._pacers:
            self._pacers[tenant][1].charge(usd)

    def _pacer(self, tenant: str, policy: Policy) -> Pacer | None:
        """The tenant's pacer; a new one when its budget has changed, for the old one's debts were of another."""
        budget = policy.budgets.get(tenant, policy.budgets.get(EVERY_OTHER))
        if budget is None:
            self._pacers.pop(tenant, None)
            return None
        held = self._pacers.get(tenant)
        if held is None or held[0] != budget:
            held = self._pacers[tenant] = (budget, Pacer(budget, now_s=self._clock.monotonic_s()))
        return held[1]
