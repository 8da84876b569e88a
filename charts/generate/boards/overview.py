"""Is all well?"""

from __future__ import annotations

from charts.generate.boards.chosen import BOTH, TENANT
from charts.generate.panels import Panel, Query
from charts.generate.promql import counted, quantile, rate, split, total

__all__ = ("OVERVIEW",)

FAILED = f'{BOTH},error_type!=""'
HIT = f'{TENANT},outcome=~"exact|semantic"'

OVERVIEW = (
    Panel(
        "Requests",
        "Per second, by who answered.",
        "reqps",
        (Query(rate("trilemma_requests_total", "variant", where=BOTH), "{{variant}}"),),
        stacked="normal",
    ),
    Panel(
        "Not answered",
        "Share of the requests, by the error that their callers saw.",
        "percentunit",
        (
            Query(
                split(
                    rate("trilemma_requests_total", "error_type", where=FAILED),
                    rate("trilemma_requests_total", where=BOTH),
                ),
                "{{error_type}}",
            ),
        ),
        stacked="normal",
    ),
    Panel(
        "Latency",
        "From a request's arrival to its answer's last byte. Dots lead to kept traces.",
        "s",
        tuple(
            Query(quantile(q, "trilemma_request_duration_seconds", where=BOTH), f"p{100 * q:g}")
            for q in (0.5, 0.95, 0.99)
        ),
    ),
    Panel(
        "First token",
        "Of streamed answers.",
        "s",
        tuple(
            Query(quantile(q, "trilemma_time_to_first_token_seconds", where=BOTH), f"p{100 * q:g}")
            for q in (0.5, 0.95)
        ),
    ),
    Panel(
        "Promises kept",
        "Share of the windows of each tenant's SLA; the worst promise of each.",
        "percentunit",
        (Query(f"min by (tenant) (trilemma_sla_attained_ratio{{{TENANT}}})", "{{tenant}}"),),
        kind="bargauge",
        width=8,
    ),
    Panel(
        "Cost",
        "US dollars an hour.",
        "currencyUSD",
        (Query(f"3600 * {rate('trilemma_cost_usd_total', 'variant', where=BOTH)}", "{{variant}}"),),
        width=8,
        stacked="normal",
    ),
    Panel(
        "Out of the caches",
        "Share of the requests whose answer was kept.",
        "percentunit",
        (
            Query(
                split(
                    rate("trilemma_cache_requests_total", "outcome", where=HIT),
                    rate("trilemma_cache_requests_total", where=TENANT),
                ),
                "{{outcome}}",
            ),
        ),
        width=8,
        stacked="normal",
    ),
    Panel(
        "Gateways",
        "Processes that are scraped, by version.",
        "none",
        (Query("count by (version) (trilemma_build_info)", "{{version}}"),),
        kind="stat",
        width=6,
    ),
    Panel(
        "Redis",
        "0 while a gateway goes on without it.",
        "none",
        (Query("min (trilemma_redis_up)", "up"),),
        kind="stat",
        width=6,
    ),
    Panel(
        "Rows to be logged",
        "Decisions that the database does not have yet.",
        "short",
        (Query(total("trilemma_log_backlog_rows"), "rows"),),
        width=6,
        alarm_above=1000,
    ),
    Panel(
        "Lost",
        "Log rows and traces, in the time shown.",
        "short",
        (
            Query(counted("trilemma_log_dropped_rows_total"), "log rows"),
            Query(counted("trilemma_traces_dropped_total"), "traces"),
        ),
        kind="stat",
        width=6,
    ),
)
