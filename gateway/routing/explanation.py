"""What `X-Trilemma-Explain` adds to an answer: why this variant, in the figures that decided it."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.routing.exchange import Exchange
from policies.meaning import meaning
from policies.types import Decision, Verdict

__all__ = ("explanation",)

FIGURES = (
    "quality",
    "quality_se",
    "ttft_s",
    "ttft_high_s",
    "latency_s",
    "latency_high_s",
    "completion_tokens",
    "cost_usd",
)
"""Of each candidate's estimate; `high` is the upper quantile that is held against a limit."""


def explanation(exchange: Exchange) -> dict[str, Any]:
    """The decision of an exchange, and what came of it."""
    return {
        "decision": exchange.decision_id,
        "policy": exchange.policy_hash,
        "estimators": dict(exchange.estimators),
        "variant": exchange.variant,
        "cache": exchange.cache,
        **(_decided(exchange, exchange.decision) if exchange.decision else {}),
        "unchecked": list(exchange.unchecked),
        "cost_usd": exchange.cost_usd,
        "ttft_s": exchange.ttft_s,
        "stages": dict(exchange.stages),
        "attempts": [msgspec.to_builtins(attempt) for attempt in exchange.attempts],
    }


def _decided(exchange: Exchange, decision: Decision) -> dict[str, Any]:
    return {
        "meaning": meaning(decision, hint=exchange.request.decided_by, policy=exchange.policy),
        "rule": decision.rule,
        "explored": decision.explored,
        "forced": decision.forced,
        "violated": decision.violated,
        "fallback_used": decision.fallback_used,
        "valuation": None if decision.valuation is None else msgspec.to_builtins(decision.valuation),
        "prices": msgspec.to_builtins(decision.prices),
        "cascade": None if decision.cascade is None else msgspec.to_builtins(decision.cascade),
        "candidates": [_candidate(verdict) for verdict in decision.verdicts],
    }


def _candidate(verdict: Verdict) -> dict[str, Any]:
    estimate, excluded = verdict.estimate, verdict.excluded_because
    return {
        "variant": verdict.variant,
        "state": verdict.state,
        "excluded_because": None if excluded is None else {"reason": excluded.reason, "detail": excluded.detail},
        **{name: None if estimate is None else getattr(estimate, name) for name in FIGURES},
        "worth": verdict.worth,
        "utility": verdict.utility,
        "propensity": verdict.propensity,
    }
