"""What is told of a request and of its attempts, by the names of `names.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from gateway.routing.attempts import Attempt, Call
from gateway.telemetry import names
from policies.types import Decision, Verdict

if TYPE_CHECKING:
    from gateway.routing.exchange import Exchange
    from gateway.telemetry.seen import Seen

__all__ = ("attempt_attributes", "request_attributes")

MAX_TEXT = 16_384
"""Characters of one attribute; longer ones are cut."""

OPERATIONS = {"chat": "chat", "completion": "text_completion", "embeddings": "embeddings"}

_encode = msgspec.json.Encoder().encode


def attempt_attributes(call: Call, attempt: Attempt) -> dict[str, Any]:
    """Of one attempt that has ended."""
    estimate, verdict = call.estimate, call.verdict
    return _told(
        {
            names.VARIANT: attempt.variant,
            names.REQUEST_MODEL: attempt.variant,
            names.PROVIDER: call.engine,
            names.ROLE: attempt.role,
            names.STATE: None if verdict is None else str(verdict.state),
            names.PROPENSITY: attempt.propensity,
            names.COST_USD: attempt.cost_usd,
            names.INPUT_TOKENS: call.usage.prompt_tokens,
            names.OUTPUT_TOKENS: call.usage.completion_tokens,
            names.CONFIDENCE: attempt.confidence,
            names.PREDICTED_TTFT_S: None if estimate is None else estimate.ttft_s,
            names.PREDICTED_LATENCY_S: None if estimate is None else estimate.latency_s,
            names.PREDICTED_COST_USD: None if estimate is None else estimate.cost_usd,
            names.PREDICTED_QUALITY: None if estimate is None else estimate.quality,
            names.ERROR_TYPE: attempt.error_type,
        }
    )


def request_attributes(seen: Seen) -> dict[str, Any]:
    """Of a request that has ended."""
    found: dict[str, Any] = {
        names.METHOD: seen.method,
        names.ROUTE: seen.route,
        names.STATUS: seen.status,
        names.REQUEST_ID: seen.request_id,
        names.TENANT: seen.tenant,
    }
    if seen.exchange is not None:
        found |= _exchange(seen.exchange)
    found |= {told: seen.headers[name][:256] for name, told in names.HEADERS.items() if name in seen.headers}
    return _told(found)


def _exchange(exchange: Exchange) -> dict[str, Any]:
    request, outcome, payload = exchange.request, exchange.outcome, exchange.request.payload
    found = {
        names.OPERATION: OPERATIONS.get(str(request.route), str(request.route)),
        names.REQUEST_MODEL: request.model,
        names.MAX_TOKENS: request.max_completion_tokens,
        names.TEMPERATURE: payload.get("temperature"),
        names.TOP_P: payload.get("top_p"),
        names.SEED: payload.get("seed"),
        names.STREAM: request.stream,
        names.HINT: request.hint,
        names.SERVICE_TIER: request.service_tier,
        names.TAGS: _json(request.tags) if request.tags else None,
        names.LIMITS: _json(exchange.limits),
        names.CACHE: exchange.cache,
        names.RESPONSE_ID: exchange.request_id,
        names.RESPONSE_MODEL: exchange.variant,
        names.VARIANT: exchange.variant,
        names.CLIENT_WAIT_S: exchange.timeline.client_wait_s or None,
    }
    if outcome is not None:
        found |= {
            names.DECISION: exchange.decision_id,
            names.INPUT_TOKENS: outcome.prompt_tokens,
            names.OUTPUT_TOKENS: outcome.completion_tokens,
            names.COST_USD: outcome.cost_usd,
            names.TTFT_S: outcome.ttft_s,
            names.FINISH_REASONS: [outcome.finish_reason] if outcome.finish_reason else None,
            names.ERROR_TYPE: outcome.error_type,
        }
    return found | _decision(exchange.decision, policy=exchange.policy_hash) | _content(exchange)


def _decision(decision: Decision | None, *, policy: str) -> dict[str, Any]:
    if decision is None:
        return {}
    return {
        names.POLICY: policy,
        names.RULE: decision.rule,
        names.EXPLORED: decision.explored,
        names.VIOLATED: decision.violated,
        names.FALLBACK_USED: decision.fallback_used,
        names.PRICES: _json(decision.prices),
        names.CANDIDATES: _json([_candidate(verdict) for verdict in decision.verdicts]),
    }


def _candidate(verdict: Verdict) -> dict[str, Any]:
    estimate, excluded = verdict.estimate, verdict.excluded_because
    figures = {
        "state": verdict.state,
        "excluded": None if excluded is None else excluded.reason,
        "quality": None if estimate is None else round(estimate.quality, 4),
        "ttft_s": None if estimate is None else round(estimate.ttft_s, 4),
        "latency_s": None if estimate is None else round(estimate.latency_s, 4),
        "cost_usd": None if estimate is None else round(estimate.cost_usd, 9),
        "utility": None if verdict.utility is None else round(verdict.utility, 6),
    }
    told = {name: value for name, value in figures.items() if value is not None}
    return {"variant": verdict.variant, **told, "propensity": round(verdict.propensity, 6)}


def _content(exchange: Exchange) -> dict[str, Any]:
    """What was said, where the tenant lets it be traced."""
    if exchange.tenant.content == "never":
        return {}
    answer = None if exchange.transcript is None else "\n".join(exchange.transcript.texts)
    return {names.PROMPT: exchange.request.prompt, names.ANSWER: answer or None}


def _json(value: object) -> str:
    return _encode(value).decode()


def _told(found: dict[str, Any]) -> dict[str, Any]:
    """What is known, each text within its bound."""
    return {
        name: value[:MAX_TEXT] if isinstance(value, str) else value
        for name, value in found.items()
        if value is not None
    }
