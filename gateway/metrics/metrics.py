"""Counts requests as they end: a reporter."""

from __future__ import annotations

from collections import defaultdict

from prometheus_client import CollectorRegistry

from gateway.decisions.fault import is_ours
from gateway.decisions.types import OutcomeRow
from gateway.metrics.overhead import overhead_s
from gateway.metrics.registry import Metered
from gateway.routing.exchange import Exchange
from gateway.routing.request import Route
from gateway.telemetry import names
from gateway.telemetry.attributes import OPERATIONS
from gateway.telemetry.seen import Seen
from gateway.telemetry.stages import STAGES
from policies.promises.types import Sla
from policies.types import Estimate

__all__ = ("COUNTED", "Metrics")

COUNTED = frozenset(
    {
        "trilemma_requests_total",
        "trilemma_http_requests_total",
        "trilemma_request_duration_seconds",
        "trilemma_time_to_first_token_seconds",
        "trilemma_time_per_output_token_seconds",
        "trilemma_overhead_seconds",
        "trilemma_stage_duration_seconds",
        "trilemma_decision_seconds",
        "trilemma_queue_wait_seconds",
        "trilemma_tokens_total",
        "trilemma_tokens_per_second",
        "trilemma_cost_usd_total",
        "trilemma_cache_requests_total",
        "trilemma_attempts_total",
        "trilemma_explored_total",
        "trilemma_decisions_total",
        "trilemma_fallback_decisions_total",
        "trilemma_estimate_ratio",
        "trilemma_sla_requests_total",
        "trilemma_sla_broken_total",
        "gen_ai_client_token_usage",
        "gen_ai_client_operation_duration_seconds",
        "gen_ai_server_request_duration_seconds",
        "gen_ai_server_time_to_first_token_seconds",
        "gen_ai_server_time_per_output_token_seconds",
    }
)
"""The families of the catalogue that are fed here; the others are read when they are asked for."""

NONE = ""
"""Label value of what there is none of."""

METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})


class Metrics:
    """What one process has counted."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._of = Metered(COUNTED, registry).of

    def __call__(self, seen: Seen) -> None:
        """Count a request that has ended."""
        method = seen.method if seen.method in METHODS else "other"
        self._of("trilemma_http_requests_total", method, seen.route, str(seen.status)).inc()
        exchange, outcome = seen.exchange, seen.outcome
        if exchange is None or outcome is None:
            return
        tenant, variant = exchange.tenant.id, outcome.variant or NONE
        exemplar = {"trace_id": seen.timeline.trace_id} if seen.kept is not None else None
        error_type = outcome.error_type or NONE
        self._of("trilemma_requests_total", tenant, variant, outcome.ending, error_type).inc()
        duration = self._of("trilemma_request_duration_seconds", tenant, variant, _said(outcome.streamed))
        duration.observe(seen.duration_s, exemplar)
        self._times(seen, exchange)
        self._answer(exchange, outcome, exemplar)
        self._decision(exchange, outcome)
        if _counts(exchange, outcome):
            self._promises(exchange.tenant.sla, tenant, outcome)

    def _times(self, seen: Seen, exchange: Exchange) -> None:
        timeline = seen.timeline
        whole = timeline.root.began_s, timeline.root.ended_s or timeline.root.began_s
        asked = [(s.began_s, s.ended_s or whole[1]) for s in timeline.spans if s.name == "attempt"]
        self._of("trilemma_overhead_seconds").observe(overhead_s(whole, asked))
        took: defaultdict[str, float] = defaultdict(float)
        for span in timeline.spans:
            took[span.name] += span.duration_s
        for name in took.keys() & STAGES.keys():
            self._of("trilemma_stage_duration_seconds", name).observe(took[name])
        stages = exchange.stages
        if "queue" in stages:
            self._of("trilemma_queue_wait_seconds", exchange.tenant.id).observe(stages["queue"])
        if "decide" in stages:
            self._of("trilemma_decision_seconds").observe(stages["decide"])

    def _answer(self, exchange: Exchange, outcome: OutcomeRow, exemplar: dict[str, str] | None) -> None:
        tenant, variant = exchange.tenant.id, outcome.variant or NONE
        self._of("trilemma_cache_requests_total", tenant, outcome.cache).inc()
        self._of("trilemma_cost_usd_total", tenant, variant).inc(outcome.cost_usd)
        self._of("trilemma_tokens_total", tenant, variant, "prompt").inc(outcome.prompt_tokens)
        self._of("trilemma_tokens_total", tenant, variant, "completion").inc(outcome.completion_tokens)
        operation = OPERATIONS.get(str(exchange.request.route), NONE)
        gen_ai = operation, exchange.call.engine or NONE, variant
        self._of("gen_ai_server_request_duration_seconds", *gen_ai).observe(outcome.latency_s)
        self._of("gen_ai_client_token_usage", *gen_ai, "input").observe(outcome.prompt_tokens)
        self._of("gen_ai_client_token_usage", *gen_ai, "output").observe(outcome.completion_tokens)
        if outcome.streamed and outcome.ttft_s is not None:
            self._of("trilemma_time_to_first_token_seconds", tenant, variant).observe(outcome.ttft_s, exemplar)
            self._of("gen_ai_server_time_to_first_token_seconds", *gen_ai).observe(outcome.ttft_s)
        if outcome.streamed and outcome.tpot_s:
            self._of("trilemma_time_per_output_token_seconds", tenant, variant).observe(outcome.tpot_s)
            self._of("gen_ai_server_time_per_output_token_seconds", *gen_ai).observe(outcome.tpot_s)
            self._of("trilemma_tokens_per_second", variant).observe(1.0 / outcome.tpot_s)

    def _decision(self, exchange: Exchange, outcome: OutcomeRow) -> None:
        operation = OPERATIONS.get(str(exchange.request.route), NONE)
        told = (span.attributes for span in exchange.timeline.spans if span.name == "attempt")
        providers = {each.get(names.VARIANT): each.get(names.PROVIDER) for each in told}
        for attempt in exchange.attempts:
            self._of("trilemma_attempts_total", attempt.variant, attempt.role, attempt.error_type or NONE).inc()
            provider = providers.get(attempt.variant) or NONE
            client = self._of("gen_ai_client_operation_duration_seconds", operation, provider, attempt.variant)
            client.observe(attempt.latency_s)
        decision = exchange.decision
        if decision is None:
            return
        self._of("trilemma_decisions_total").inc()
        if decision.explored:
            self._of("trilemma_explored_total").inc()
        if decision.fallback_used:
            self._of("trilemma_fallback_decisions_total").inc()
        if outcome.error_type is None and exchange.call.estimate is not None and outcome.variant is not None:
            self._estimate(exchange.call.estimate, outcome, outcome.variant)

    def _estimate(self, estimate: Estimate, outcome: OutcomeRow, variant: str) -> None:
        """How right the prediction was of what answered; whole answers have no first token to compare."""
        pairs = (
            ("latency", outcome.latency_s - outcome.queue_s, estimate.latency_s),
            ("ttft", outcome.ttft_s and outcome.ttft_s - outcome.queue_s, estimate.ttft_s),
            ("cost", outcome.cost_usd, estimate.cost_usd),
            ("completion_tokens", outcome.completion_tokens, estimate.completion_tokens),
        )
        for figure, observed, predicted in pairs:
            if observed is not None and predicted > 0:
                self._of("trilemma_estimate_ratio", variant, figure).observe(observed / predicted)

    def _promises(self, sla: Sla, tenant: str, outcome: OutcomeRow) -> None:
        """Whether this one request broke what single requests can break; windows are judged by the report."""
        answered = outcome.ending == "done"
        ttft_s = outcome.ttft_s if outcome.streamed else None
        held = (
            ("availability", sla.availability, 0.0 if answered else 1.0, 0.5),
            ("latency_p95_s", sla.latency_p95_s, outcome.latency_s if answered else None, sla.latency_p95_s),
            ("ttft_p95_s", sla.ttft_p95_s, ttft_s if answered else None, sla.ttft_p95_s),
            ("max_cost_usd", sla.max_cost_usd, outcome.cost_usd, sla.max_cost_usd),
        )
        for promise, promised, observed, limit in held:
            if promised is not None and observed is not None:
                self._of("trilemma_sla_requests_total", tenant, promise).inc()
                self._of("trilemma_sla_broken_total", tenant, promise).inc(limit is not None and observed > limit)


def _counts(exchange: Exchange, outcome: OutcomeRow) -> bool:
    """Whether a promise is about it, as the report has it: answered, or not answered by our doing."""
    if exchange.request.route is Route.EMBEDDINGS:
        return False
    decided = exchange.decision is not None
    return outcome.ending == "done" or is_ours(outcome.ending, outcome.error_type, decided=decided)


def _said(value: object) -> str:
    return "true" if value else "false"
