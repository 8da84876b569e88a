"""Alerts on how fast error budgets are used up, over several windows at once.

As in Beyer et al., The Site Reliability Workbook (2018), chapter 5: a long window tells that it matters, a short one
that it still goes on. At a burn rate of 1 a budget lasts for exactly its 30 days; 14.4 uses 2 % of it in an hour, 6
uses 5 % in six hours, 3 uses 10 % in a day, 1 uses 10 % in three days.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from charts.generate.promql import highest, rate, share

__all__ = ("GOAL", "WINDOWS", "burn_alerts", "burn_records")

Rule = dict[str, Any]

GOAL = 0.995
"""Share of all requests that are to be answered, whatever tenants were promised."""
OURS = 'error_type=~"overloaded|timeout|upstream_error|server_error"'
"""What a request may fail of by our doing."""
LEAST_REQUESTS = 20
"""In the long window: among fewer, one slow answer says nothing."""


class Pair(NamedTuple):
    """Two windows, and the burn rate that both must exceed."""

    long: str
    short: str
    above: float
    severity: str


PAIRS = (
    Pair("1h", "5m", 14.4, "page"),
    Pair("6h", "30m", 6.0, "page"),
    Pair("1d", "2h", 3.0, "ticket"),
    Pair("3d", "6h", 1.0, "ticket"),
)
WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


def burn_records() -> list[Rule]:
    """Burn rates of every window, by promise and over all requests."""
    rules: list[Rule] = []
    for window in WINDOWS:
        broken = rate("trilemma_sla_broken_total", "tenant", "promise", window=window)
        asked = rate("trilemma_sla_requests_total", "tenant", "promise", window=window)
        allowed = f"({highest('trilemma_sla_allowance_ratio', 'tenant', 'promise')} > 0)"
        burn = f"({share(broken, asked)}) / on (tenant, promise) {allowed}"
        rules.append({"record": f"tenant_promise:trilemma_sla_burn:{window}", "expr": burn})
        failed = f"({rate('trilemma_requests_total', where=OURS, window=window)} or vector(0))"
        every = rate("trilemma_requests_total", where='ending!="cancelled"', window=window)
        spent = f"({share(failed, every)}) / {1 - GOAL:g}"
        rules.append({"record": f"trilemma:availability_burn:{window}", "expr": spent})
    return rules


def burn_alerts() -> list[Rule]:
    """One alert for each pair of windows and each kind of budget."""
    return [rule for pair in PAIRS for rule in (_promise(pair), _availability(pair))]


def _promise(pair: Pair) -> Rule:
    record = "tenant_promise:trilemma_sla_burn"
    asked = f"sum by (tenant, promise) (increase(trilemma_sla_requests_total[{pair.long}])) >= {LEAST_REQUESTS}"
    return _alert(
        "TrilemmaPromiseBurns",
        f"{_both(record, pair)} and on (tenant, promise) ({asked})",
        pair,
        summary="Tenant {{ $labels.tenant }}: {{ $labels.promise }} is being broken",
        description="Its error budget burns {{ $value | humanize }} times as fast as it may. Look at the slow"
        " requests of this tenant in the console, and at who answered them.",
    )


def _availability(pair: Pair) -> Rule:
    asked = f"sum (increase(trilemma_requests_total[{pair.long}])) >= {LEAST_REQUESTS}"
    return _alert(
        "TrilemmaRequestsFail",
        f"{_both('trilemma:availability_burn', pair)} and on () ({asked})",
        pair,
        summary="Requests fail by the gateway's or its variants' doing",
        description="More than may fail do: {{ $value | humanize }} times the error budget of "
        f"{100 * (1 - GOAL):g} %. Look at error types and variants on the overview dashboard.",
    )


def _both(record: str, pair: Pair) -> str:
    return f"({record}:{pair.long} > {pair.above:g} and {record}:{pair.short} > {pair.above:g})"


def _alert(name: str, expr: str, pair: Pair, *, summary: str, description: str) -> Rule:
    return {
        "alert": name,
        "expr": expr,
        "for": "2m" if pair.severity == "page" else "15m",
        "labels": {"severity": pair.severity, "window": pair.long},
        "annotations": {"summary": summary, "description": description},
    }
