"""Where does the time of slow requests go?"""

from __future__ import annotations

from charts.generate.boards.chosen import TENANT
from charts.generate.panels import Panel, Query
from charts.generate.promql import quantile, rate, total

__all__ = ("SLOW",)


SLOW = (
    Panel(
        "Where time goes",
        "Seconds spent in each stage, per second: what stands out is what to look into.",
        "s",
        (Query(rate("trilemma_stage_duration_seconds_sum", "stage"), "{{stage}}"),),
        stacked="normal",
    ),
    Panel(
        "Stages, p95",
        "The slowest twentieth of each.",
        "s",
        (Query(quantile(0.95, "trilemma_stage_duration_seconds", "stage"), "{{stage}}"),),
    ),
    Panel(
        "Kept traces",
        "By why they are kept; the console lists them.",
        "reqps",
        (Query(rate("trilemma_traces_total", "kept"), "{{kept}}"),),
        stacked="normal",
    ),
    Panel(
        "Wait in the queue, p95",
        "For a variant to have room.",
        "s",
        (Query(quantile(0.95, "trilemma_queue_wait_seconds", "tenant", where=TENANT), "{{tenant}}"),),
    ),
    Panel(
        "Waiting now",
        "By urgency.",
        "short",
        (Query(total("trilemma_queue_depth", "tier"), "{{tier}}"),),
        width=8,
        stacked="normal",
    ),
    Panel(
        "Ends of waits",
        "All but `admitted` were turned away.",
        "reqps",
        (Query(rate("trilemma_queue_outcomes_total", "outcome"), "{{outcome}}"),),
        width=8,
    ),
    Panel(
        "The gateway's own time",
        "A request's time less that in which some variant was being asked; waits in the queue count.",
        "s",
        (
            *(Query(quantile(q, "trilemma_overhead_seconds"), f"p{100 * q:g}") for q in (0.5, 0.95)),
            Query(quantile(0.95, "trilemma_decision_seconds"), "decision, p95"),
        ),
        width=8,
    ),
)
