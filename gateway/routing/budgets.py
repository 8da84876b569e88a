"""Each tenant's budget in this process: what a dollar is worth to it now, and what one request may cost."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.tenants.types import Spend
from policies.pacing import Pacer, choices
from policies.policy import Budget, Policy
from policies.prices import NO_PRICES, Prices
from policies.types import Decision

__all__ = ("Budgets",)

EVERY_OTHER = "*"


@dataclass(frozen=True, kw_only=True)
class _Paced:
    """A budget being spent."""

    of: Budget | Spend
    pacer: Pacer


class Budgets:
    """One pacer per tenant with a budget: its own, else the one that the policy gives it.

    The tenant's own is hard money, which the ledger keeps to the cent; here it is only spread over its period, so
    that it lasts. For the event loop's thread only.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._paced: dict[str, _Paced] = {}

    def prices(
        self, tenant: str, policy: Policy, *, own: Spend | None = None, left_usd: float | None = None
    ) -> Prices:
        """Take in a request and say what holds for it; once per request, before it is decided.

        Args:
            tenant: Who asks.
            policy: In force.
            own: The tenant's own budget.
            left_usd: What its account has left of that, where known; what is missing there was spent before this
                process saw it.
        """
        budget = own or policy.budgets.get(tenant, policy.budgets.get(EVERY_OTHER))
        if budget is None:
            self._paced.pop(tenant, None)
            return NO_PRICES
        held = self._paced.get(tenant)
        if held is None or held.of != budget:
            # The old one's debts were of another budget.
            held = self._paced[tenant] = _Paced(of=budget, pacer=self._begun(budget, left_usd))
        held.pacer.admit(now_s=self._now_s(budget))
        return Prices(per_usd=held.pacer.price_per_usd, ceiling_usd=held.pacer.ceiling_usd)

    def foresee(self, tenant: str, decision: Decision) -> None:
        """Remember what the request could have chosen from, were it not for the budget."""
        if tenant in self._paced:
            self._paced[tenant].pacer.foresee(*choices(decision))

    def charge(self, tenant: str, usd: float) -> None:
        """A request of the tenant has ended and cost this much."""
        if tenant in self._paced:
            self._paced[tenant].pacer.charge(usd)

    def _begun(self, budget: Budget | Spend, left_usd: float | None) -> Pacer:
        """A pacer that stands where the budget does."""
        now_s = self._now_s(budget)
        if isinstance(budget, Budget):
            return Pacer(budget, now_s=now_s)
        return Pacer(
            Budget(usd=budget.usd, period_s=budget.period_s),
            now_s=now_s,
            began_s=now_s - now_s % budget.period_s,
            spent_usd=0.0 if left_usd is None else max(0.0, budget.usd - left_usd),
        )

    def _now_s(self, budget: Budget | Spend) -> float:
        """A policy's periods begin with the process, a tenant's own by the wall's clock, as its account has it."""
        return self._clock.monotonic_s() if isinstance(budget, Budget) else self._clock.wall_s()
