"""What the demo reports at its end: the shape of `trilemma demo --json`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.demo.client import Promise, SlowRequest
from gateway.demo.comparison import AnsweredTask, Comparison, against_best_fixed, shares
from gateway.demo.recordings import RecordedTask, UtilityPrices
from gateway.demo.traffic import DemoTenant, prices_of

__all__ = ("ConsoleAccess", "DemoReport", "TenantReport", "tenant_report")


class ConsoleAccess(msgspec.Struct, frozen=True, kw_only=True):
    """How to open the console of the demo's gateway."""

    url: str
    learning_url: str
    operator_key: str
    """To sign in with; ends after a day."""


class TenantReport(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant's traffic."""

    tenant: str
    priority: str
    prices: UtilityPrices
    """Of its utility."""
    requests: int
    """Answered."""
    shares_first_third: dict[str, float]
    """By model, of the first third of its requests."""
    shares_last_third: dict[str, float]
    utility: Comparison | None
    """None where nothing was answered."""
    promises: list[Promise]


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    seconds: float
    """Length of the traffic."""
    speed: float
    """How many times as fast as recorded the models answered."""
    requests: int
    """Answered."""
    failed: int
    errors: list[str]
    """The first few."""
    tenants: list[TenantReport]
    slow: SlowRequest | None
    console: ConsoleAccess


def tenant_report(
    tenant: DemoTenant, answered: Sequence[AnsweredTask], tasks: Sequence[RecordedTask], promises: list[Promise]
) -> TenantReport:
    """A tenant's report from all answers, in the order in which they were given."""
    own = [answer for answer in answered if answer.tenant == tenant.id]
    prices, third = prices_of(tenant, tasks), max(1, len(own) // 3)
    return TenantReport(
        tenant=tenant.id,
        priority=tenant.priority,
        prices=prices,
        requests=len(own),
        shares_first_third=shares(own[:third]),
        shares_last_third=shares(own[-third:]),
        utility=against_best_fixed(own, tasks, prices),
        promises=promises,
    )
