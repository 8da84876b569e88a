"""Promises as rows of a table: what was promised, how it stands, and how fast its budget is used up."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.console.amounts import NONE, number, percent, seconds, usd
from gateway.sla.report import SlaReport
from policies.promises.attainment import Attainment, Promise, Verdict
from policies.promises.types import Sla

__all__ = ("FAST_BURN", "PromiseRow", "burn_of", "promise_rows", "promises_something")

NAMES: dict[Promise, str] = {
    "ttft_p95_s": "p95 to the first token",
    "latency_p95_s": "p95 latency",
    "mean_quality": "Mean quality",
    "availability": "Availability",
    "max_cost_usd": "Dearest request",
}
FAST_BURN = 6.0
"""Over both windows: a budget that is used up in a sixth of its time (Beyer et al., The Site Reliability Workbook,
2018, chapter 5)."""
STRIP_WINDOWS = 48
"""Windows drawn; the counts are of all."""

Tone = Literal["good", "warn", "bad", ""]


class PromiseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One promise to one tenant; figures as texts."""

    tenant: str
    promise: str
    promised: str
    now: str
    verdict: Verdict
    """Of the window that runs."""
    windows: tuple[Verdict, ...]
    """The latest ones that have ended, oldest first."""
    kept: str
    strip: str
    """What the picture of the windows says."""
    budget_left: str
    budget_tone: Tone
    burn: str
    burn_tone: Tone


def promise_rows(report: SlaReport) -> tuple[PromiseRow, ...]:
    """The promises of a tenant, in the order of its SLA."""
    return tuple(_row(report.tenant, of) for of in report.promises)


def promises_something(sla: Sla) -> bool:
    """Whether there is anything to keep."""
    return any(getattr(sla, promise) is not None for promise in NAMES)


def _row(tenant: str, of: Attainment) -> PromiseRow:
    sign = "≥" if of.promise in {"mean_quality", "availability"} else "≤"
    counted = of.kept + of.broken
    return PromiseRow(
        tenant=tenant,
        promise=NAMES[of.promise],
        promised=f"{sign} {_value(of.promise, of.limit)}",
        now=_value(of.promise, of.now),
        verdict=of.now_verdict,
        windows=of.windows[-STRIP_WINDOWS:],
        kept=f"{of.kept} of {counted}" if counted else "none yet",
        strip=f"windows that have ended: {of.kept} kept, {of.broken} broken, {of.quiet} without requests",
        budget_left=percent(of.budget_left) if of.budget_left is not None and of.budget_left >= 0 else _overdrawn(of),
        budget_tone="" if of.budget_left is None else "bad" if of.budget_left <= 0 else "good",
        burn=f"{_rate(of.burn_short)} / {_rate(of.burn_long)}" if of.allowance else NONE,
        burn_tone=_burn_tone(of),
    )


def _overdrawn(of: Attainment) -> str:
    return NONE if of.budget_left is None else f"overdrawn by {percent(-of.budget_left)}"


def _rate(burn: float | None) -> str:
    return NONE if burn is None else f"{burn:.1f}x"


def burn_of(of: Attainment) -> float:
    """How fast the budget is used up, by both windows; 1 is exactly what it is there for."""
    return min(of.burn_short or 0.0, of.burn_long or 0.0)


def _burn_tone(of: Attainment) -> Tone:
    return "bad" if burn_of(of) >= FAST_BURN else "warn" if burn_of(of) > 1.0 else ""


def _value(promise: Promise, value: float | None) -> str:
    match promise:
        case "ttft_p95_s" | "latency_p95_s":
            return seconds(value)
        case "mean_quality":
            return number(value)
        case "availability":
            return NONE if value is None else f"{value * 100:.4g} %"
        case "max_cost_usd":
            return usd(value)
