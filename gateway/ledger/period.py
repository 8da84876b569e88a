"""The period a budget is for. Every process finds the same ones without asking anybody."""

from __future__ import annotations

import msgspec

from gateway.tenants.types import Spend

__all__ = ("Period", "period_at")


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """One period of a tenant's budget; the key of its account."""

    tenant: str
    period_s: float
    """Its length."""
    number: int
    """Periods since the Unix epoch (UTC)."""

    @property
    def began_s(self) -> float:
        """Unix time."""
        return self.number * self.period_s

    @property
    def ends_s(self) -> float:
        """Unix time."""
        return (self.number + 1) * self.period_s


def period_at(tenant: str, budget: Spend, *, now_s: float) -> Period:
    """The period that a Unix time falls in."""
    return Period(tenant=tenant, period_s=budget.period_s, number=int(now_s // budget.period_s))
