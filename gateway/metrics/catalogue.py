"""Every metric: its name, what it counts, its labels. Registries, documentation and dashboards are made from this.

Names and units are those of Prometheus: base units at the end of the name, `_total` for counters. `gen_ai_*` are the
metrics of OpenTelemetry's GenAI conventions (up to 1.41) in Prometheus' spelling, beside ours.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ("FAMILIES", "Family", "Kind")

Kind = Literal["counter", "gauge", "histogram"]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
SHORT_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
RATIOS = (0.1, 0.25, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 4.0, 10.0)
TOKENS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0)
PER_SECOND = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)

GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")


class Family(NamedTuple):
    """One metric."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    text: str
    buckets: tuple[float, ...] = ()


FAMILIES: tuple[Family, ...] = (
    Family(
        "trilemma_requests_total",
        "counter",
        ("tenant", "variant", "ending", "error_type"),
        "Requests that ended, by how: done, failed, cancelled, stopped, or refused before anybody was asked",
    ),
    Family("trilemma_http_requests_total", "counter", ("method", "route", "status"), "HTTP requests of every route"),
    Family(
        "trilemma_request_duration_seconds",
        "histogram",
        ("tenant", "variant", "stream"),
        "From a request's arrival to its answer's last byte",
        SECONDS,
    ),
    Family(
        "trilemma_time_to_first_token_seconds",
        "histogram",
        ("tenant", "variant"),
        "Of streamed answers, from when the request was read",
        SECONDS,
    ),
    Family(
        "trilemma_time_per_output_token_seconds",
        "histogram",
        ("tenant", "variant"),
        "Of streamed answers, after the first token",
        SHORT_SECONDS,
    ),
    Family(
        "trilemma_overhead_seconds",
        "histogram",
        (),
        "A request's time less that in which some variant was being asked; waits in the queue count",
        SHORT_SECONDS,
    ),
    Family("trilemma_stage_duration_seconds", "histogram", ("stage",), "Time of each of its stages", SHORT_SECONDS),
    Family("trilemma_decision_seconds", "histogram", (), "Time to choose a variant", SHORT_SECONDS),
    Family("trilemma_queue_wait_seconds", "histogram", ("tenant",), "Wait for a variant to have room", SECONDS),
    Family("trilemma_queue_depth", "gauge", ("tier",), "Requests that wait now"),
    Family("trilemma_queue_outcomes_total", "counter", ("outcome",), "Ended waits, by how they ended"),
    Family("trilemma_places", "gauge", ("variant",), "Requests a variant may answer at once"),
    Family("trilemma_places_taken", "gauge", ("variant",), "Requests it answers now"),
    Family(
        "trilemma_tokens_total", "counter", ("tenant", "variant", "kind"), "Tokens of prompts and answers, as counted"
    ),
    Family("trilemma_tokens_per_second", "histogram", ("variant",), "Rate of a streamed answer", PER_SECOND),
    Family("trilemma_cost_usd_total", "counter", ("tenant", "variant"), "US dollars, all attempts of a request"),
    Family("trilemma_cache_requests_total", "counter", ("tenant", "outcome"), "Requests by what the caches had"),
    Family("trilemma_attempts_total", "counter", ("variant", "role", "error_type"), "Tries of variants, why and how"),
    Family("trilemma_circuit_open", "gauge", ("variant",), "1 while the variant is left alone because it failed"),
    Family("trilemma_variant_up", "gauge", ("variant", "state"), "1 for the state that the variant is in"),
    Family("trilemma_variant_resident_bytes", "gauge", ("variant",), "Resident memory of its worker"),
    Family("trilemma_variant_start_seconds", "gauge", ("variant",), "What its last start, or its measured one, took"),
    Family("trilemma_variant_restarts_total", "counter", ("variant",), "Times its worker was restarted after dying"),
    Family("trilemma_variant_tokens_per_second", "gauge", ("variant",), "Tokens its worker generates, last seconds"),
    Family(
        "trilemma_explored_total", "counter", (), "Decisions that did not take the best variant, to learn from that"
    ),
    Family("trilemma_decisions_total", "counter", (), "Decisions"),
    Family("trilemma_fallback_decisions_total", "counter", (), "Decisions by static order, for want of estimates"),
    Family(
        "trilemma_estimate_ratio",
        "histogram",
        ("variant", "figure"),
        "What was observed over what was predicted: ttft, latency, cost, completion_tokens; 1 is right",
        RATIOS,
    ),
    Family(
        "trilemma_routing_gain",
        "gauge",
        ("bound",),
        "Realised utility less that of always the best variant, last 24 h: estimate, low, high (95 %); absent while"
        " the log cannot tell",
    ),
    Family(
        "trilemma_routing_worse_than_fixed",
        "gauge",
        (),
        "1 while some fixed variant is better than routing with 95 % confidence, last 24 h",
    ),
    Family(
        "trilemma_exploration_cost_points",
        "gauge",
        ("kind",),
        "Predicted utility that exploring costs a request, in hundredths, last 24 h: drawn by chance, forced early",
    ),
    Family("trilemma_sla_attained_ratio", "gauge", ("tenant", "promise"), "Share of windows that kept the promise"),
    Family("trilemma_sla_objective_ratio", "gauge", ("tenant",), "Share of windows that are to keep each promise"),
    Family(
        "trilemma_sla_allowance_ratio",
        "gauge",
        ("tenant", "promise"),
        "Share of a tenant's requests that may break the promise",
    ),
    Family(
        "trilemma_sla_budget_burn",
        "gauge",
        ("tenant", "promise", "window"),
        "Share of requests that broke the promise over the share that may; 1 uses the error budget up exactly",
    ),
    Family(
        "trilemma_sla_requests_total",
        "counter",
        ("tenant", "promise"),
        "Requests that a promise is about",
    ),
    Family("trilemma_sla_broken_total", "counter", ("tenant", "promise"), "Of those, the ones that broke it"),
    Family("trilemma_log_backlog_rows", "gauge", (), "Rows of the decision log that are not written yet"),
    Family(
        "trilemma_turned_away_total",
        "counter",
        ("tenant",),
        "Requests refused before they were read: their tenant's of the last minute were as many as may be",
    ),
    Family("trilemma_checks_waiting", "gauge", (), "Answers whose checks have not run yet"),
    Family("trilemma_checks_total", "counter", ("outcome",), "Checks that ran: scored, or given_up as too slow"),
    Family(
        "trilemma_checks_dropped_total",
        "counter",
        ("reason",),
        "Checks that did not run, or not on all of an answer: busy, too many answers were waiting; slow, others of "
        "the answer were given up; choices, length, it had too many or too much",
    ),
    Family("trilemma_log_dropped_rows_total", "counter", (), "Rows of the decision log that were lost"),
    Family("trilemma_log_failures_total", "counter", (), "Batches that the database refused, tried again each"),
    Family("trilemma_traces_total", "counter", ("kept",), "Traces kept, by why"),
    Family("trilemma_traces_dropped_total", "counter", (), "Traces lost: too many at once, or refused"),
    Family("trilemma_otlp_spans_total", "counter", ("outcome",), "Spans for the collector: offered, sent, failed"),
    Family("trilemma_redis_up", "gauge", (), "1 while Redis is asked, 0 while left alone; absent without it"),
    Family("trilemma_replicas", "gauge", (), "Gateway processes that share limits, as far as known"),
    Family("trilemma_policy_info", "gauge", ("policy",), "1 for the policy in force, by its hash"),
    Family("trilemma_build_info", "gauge", ("version",), "1 for the version that runs"),
    Family(
        "gen_ai_client_token_usage",
        "histogram",
        (*GEN_AI, "gen_ai_token_type"),
        "Tokens of one answer, by type: input, output",
        TOKENS,
    ),
    Family("gen_ai_client_operation_duration_seconds", "histogram", GEN_AI, "Duration of one attempt", SECONDS),
    Family("gen_ai_server_request_duration_seconds", "histogram", GEN_AI, "Duration of one request", SECONDS),
    Family("gen_ai_server_time_to_first_token_seconds", "histogram", GEN_AI, "Time to the first token", SECONDS),
    Family(
        "gen_ai_server_time_per_output_token_seconds",
        "histogram",
        GEN_AI,
        "Time per token after the first",
        SHORT_SECONDS,
    ),
)
"""Each once, in the order in which they are shown."""
