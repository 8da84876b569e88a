"""How do the variants stand?"""

from __future__ import annotations

from charts.generate.boards.chosen import VARIANT
from charts.generate.panels import Panel, Query
from charts.generate.promql import counted, highest, quantile, rate, share, total

__all__ = ("VARIANTS",)


VARIANTS = (
    Panel(
        "State",
        "1 for the state that each is in.",
        "none",
        (Query(f"{highest('trilemma_variant_up', 'variant', 'state', where=VARIANT)} == 1"),),
        kind="table",
        width=8,
    ),
    Panel(
        "Places taken",
        "Of the requests that each may answer at once.",
        "percentunit",
        (
            Query(
                share(
                    total("trilemma_places_taken", "variant", where=VARIANT),
                    total("trilemma_places", "variant", where=VARIANT),
                ),
                "{{variant}}",
            ),
        ),
        width=8,
        alarm_above=1,
    ),
    Panel(
        "Left alone",
        "1 while nobody calls it because its calls failed.",
        "none",
        (Query(highest("trilemma_circuit_open", "variant", where=VARIANT), "{{variant}}"),),
        width=8,
    ),
    Panel(
        "Tries that failed",
        "Per second, by variant and error.",
        "reqps",
        (
            Query(
                rate("trilemma_attempts_total", "variant", "error_type", where=f'{VARIANT},error_type!=""'),
                "{{variant}} {{error_type}}",
            ),
        ),
    ),
    Panel(
        "Tries by role",
        "First ones, retries, fall-backs, duplicates, escalations.",
        "reqps",
        (Query(rate("trilemma_attempts_total", "role", where=VARIANT), "{{role}}"),),
        stacked="normal",
    ),
    Panel(
        "First token, p95",
        "Of streamed answers.",
        "s",
        (Query(quantile(0.95, "trilemma_time_to_first_token_seconds", "variant", where=VARIANT), "{{variant}}"),),
        width=8,
    ),
    Panel(
        "Time per token, p95",
        "After the first.",
        "s",
        (Query(quantile(0.95, "trilemma_time_per_output_token_seconds", "variant", where=VARIANT), "{{variant}}"),),
        width=8,
    ),
    Panel(
        "Tokens",
        "Per second, all answers together.",
        "short",
        (Query(rate("trilemma_tokens_total", "variant", where=f'{VARIANT},kind="completion"'), "{{variant}}"),),
        width=8,
        stacked="normal",
    ),
    Panel(
        "Observed over predicted",
        "Median; 1 is right.",
        "short",
        (
            Query(
                quantile(0.5, "trilemma_estimate_ratio", "variant", "figure", where=VARIANT), "{{variant}} {{figure}}"
            ),
        ),
    ),
    Panel(
        "Chosen to learn from, and for want of estimates",
        "Share of the decisions.",
        "percentunit",
        (
            Query(share(rate("trilemma_explored_total"), rate("trilemma_decisions_total")), "explored"),
            Query(share(rate("trilemma_fallback_decisions_total"), rate("trilemma_decisions_total")), "static order"),
        ),
    ),
    Panel(
        "Memory of workers",
        "Resident.",
        "bytes",
        (Query(total("trilemma_variant_resident_bytes", "variant", where=VARIANT), "{{variant}}"),),
        width=8,
        stacked="normal",
    ),
    Panel(
        "Cold start",
        "What the last one took, or the measured one.",
        "s",
        (Query(highest("trilemma_variant_start_seconds", "variant", where=VARIANT), "{{variant}}"),),
        kind="bargauge",
        width=8,
    ),
    Panel(
        "Restarts of workers",
        "After dying, in the time shown.",
        "short",
        (Query(counted("trilemma_variant_restarts_total", "variant", where=VARIANT), "{{variant}}"),),
        kind="stat",
        width=8,
        alarm_above=1,
    ),
)
