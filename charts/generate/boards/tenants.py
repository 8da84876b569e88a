"""Does every tenant get what it was promised?"""

from __future__ import annotations

from charts.generate.boards.chosen import TENANT
from charts.generate.panels import Panel, Query
from charts.generate.promql import counted, mean, quantile, rate, split

__all__ = ("TENANTS",)


TENANTS = (
    Panel(
        "Promises kept",
        "Share of the windows in which each promise was kept.",
        "percentunit",
        (Query(f"min by (tenant, promise) (trilemma_sla_attained_ratio{{{TENANT}}})", "{{tenant}} {{promise}}"),),
        kind="bargauge",
    ),
    Panel(
        "Error budgets",
        "How fast they burn over an hour: at 1 one lasts exactly its time, above 14.4 somebody is paged.",
        "short",
        (Query(f"tenant_promise:trilemma_sla_burn:1h{{{TENANT}}}", "{{tenant}} {{promise}}"),),
        alarm_above=14.4,
    ),
    Panel(
        "Requests",
        "Per second.",
        "reqps",
        (Query(rate("trilemma_requests_total", "tenant", where=TENANT), "{{tenant}}"),),
        width=8,
        stacked="normal",
    ),
    Panel(
        "Cost",
        "US dollars, in the time shown.",
        "currencyUSD",
        (Query(counted("trilemma_cost_usd_total", "tenant", where=TENANT), "{{tenant}}"),),
        kind="bargauge",
        width=8,
    ),
    Panel(
        "Who answers whom",
        "Share of each tenant's requests.",
        "percentunit",
        (
            Query(
                split(
                    rate("trilemma_requests_total", "tenant", "variant", where=TENANT),
                    rate("trilemma_requests_total", "tenant", where=TENANT),
                    "tenant",
                ),
                "{{tenant}} {{variant}}",
            ),
        ),
        width=8,
    ),
    Panel(
        "Latency, p95",
        "To the last byte.",
        "s",
        (Query(quantile(0.95, "trilemma_request_duration_seconds", "tenant", where=TENANT), "{{tenant}}"),),
        width=8,
    ),
    Panel(
        "First token, p95",
        "Of streamed answers.",
        "s",
        (Query(quantile(0.95, "trilemma_time_to_first_token_seconds", "tenant", where=TENANT), "{{tenant}}"),),
        width=8,
    ),
    Panel(
        "Wait in the queue, mean",
        "For a variant to have room.",
        "s",
        (Query(mean("trilemma_queue_wait_seconds", "tenant", where=TENANT), "{{tenant}}"),),
        width=8,
    ),
)
