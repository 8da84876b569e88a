"""Tenants as rows and facts: what each may ask for, what it has spent, and whether its promises are kept."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.console.amounts import NONE, count, moment, seconds, usd
from gateway.console.facts import Fact
from gateway.console.promise_rows import promises_something
from gateway.console.traffic import Given
from gateway.ledger.book import Spending
from gateway.sla.report import SlaReport
from gateway.tenants.types import Spend, Tenant

__all__ = ("SpendView", "TenantRow", "spend_view", "tenant_facts", "tenant_row")


class TenantRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list; figures as texts."""

    tenant: str
    standing: str
    tone: Literal["good", "bad", ""]
    answers: str
    latency: str
    cost: str
    """Mean of an answer within the last hour."""
    budget: str
    tier: str
    variants: str


class SpendView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a budget; the shares lie in [0, 100]."""

    left: str
    budget: str
    spent: str
    held: str
    lost: str
    ends: str
    spent_share: float
    held_share: float
    tone: Literal["", "warn", "bad"]


def tenant_row(tenant: Tenant, report: SlaReport | None, given: Given | None) -> TenantRow:
    """A tenant in the list.

    Args:
        tenant: The tenant.
        report: How its promises stood a minute ago; None where that is not known, or nothing was promised.
        given: What it was given within the last hour.
    """
    standing, tone = _standing(tenant, report)
    return TenantRow(
        tenant=tenant.id,
        standing=standing,
        tone=tone,
        answers=f"{given.answers:,}" if given else "0",
        latency=seconds(given.latency_s if given else None),
        cost=usd(given.cost_usd if given else None),
        budget=_budget(tenant.budget),
        tier=tenant.max_service_tier,
        variants="all" if tenant.variants is None else ", ".join(tenant.variants),
    )


def tenant_facts(tenant: Tenant) -> tuple[Fact, ...]:
    """What a tenant may ask for."""
    quotas, limits = tenant.quotas, tenant.limits
    cache = tenant.semantic_cache
    return (
        Fact(name="Requests per minute", value=_most(quotas.requests_per_min)),
        Fact(name="Judgements per minute", value=_most(quotas.feedback_per_min or quotas.requests_per_min)),
        Fact(name="Tokens per minute", value=_most(quotas.tokens_per_min)),
        Fact(name="At the same time", value=_most(quotas.concurrent)),
        Fact(name="Highest tier", value=tenant.max_service_tier),
        Fact(name="Weight in the queue", value=f"{tenant.weight:g}"),
        Fact(name="Variants", value="all" if tenant.variants is None else ", ".join(tenant.variants)),
        Fact(name="Limit to first token", value=seconds(limits.ttft_s)),
        Fact(name="Limit on latency", value=seconds(limits.latency_s)),
        Fact(name="Limit on cost", value=usd(limits.max_cost_usd)),
        Fact(name="Least quality", value=NONE if limits.min_quality is None else f"{limits.min_quality:g}"),
        Fact(name="Semantic cache", value="off" if cache is None else f"from {cache.threshold:g} on"),
        Fact(name="Prompts in traces", value=tenant.content),
    )


def spend_view(spending: Spending) -> SpendView:
    """A budget in the period that runs."""
    gone = spending.spent_usd + spending.lost_usd
    return SpendView(
        left=usd(max(0.0, spending.left_usd)),
        budget=usd(spending.usd),
        spent=usd(spending.spent_usd),
        held=usd(spending.held_usd),
        lost=usd(spending.lost_usd),
        ends=moment(spending.ends_s),
        spent_share=round(min(100.0, 100 * gone / spending.usd), 2),
        held_share=round(min(100.0, 100 * (gone + spending.held_usd) / spending.usd), 2),
        tone="bad" if gone >= spending.usd else "warn" if gone >= 0.8 * spending.usd else "",
    )


def _standing(tenant: Tenant, report: SlaReport | None) -> tuple[str, Literal["good", "bad", ""]]:
    if not promises_something(tenant.sla):
        return "nothing promised", ""
    if report is None:
        return "not counted yet", ""
    broken = sum(of.may_still_break < 0 for of in report.promises)
    if broken:
        return f"{broken} of {count(len(report.promises), 'promise')} missed", "bad"
    return "kept" if any(of.attained is not None for of in report.promises) else "no requests yet", "good"


def _budget(budget: Spend | None) -> str:
    if budget is None:
        return "none"
    period = "day" if budget.period_s == 86_400 else "hour" if budget.period_s == 3600 else seconds(budget.period_s)
    return f"{usd(budget.usd)} per {period}"


def _most(quota: int | None) -> str:
    return "no limit" if quota is None else f"{quota:,}"
