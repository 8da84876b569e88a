"""The log's row of a decision, and of a request that ended without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gateway.decisions.types import DecisionRow
from policies.features.layout import VERSION
from policies.objective import Weights
from policies.types import Decision, RoutingRequest

if TYPE_CHECKING:
    from gateway.routing.exchange import Exchange

__all__ = ("decision_row", "undecided_row")


def decision_row(exchange: Exchange, decision: Decision, routing: RoutingRequest, *, pinned: bool) -> DecisionRow:
    """What was decided, of what, and why. The features go along as they are; the log's thread packs them."""
    request = exchange.request
    return DecisionRow(
        decision_id=exchange.decision_id,
        request_id=exchange.request_id,
        trace_id=exchange.timeline.trace_id,
        tenant=routing.tenant,
        policy_hash=exchange.policy_hash,
        created_at_s=exchange.clock.wall_s(),
        route=request.route,
        tags=request.tags,
        service_tier=request.service_tier,
        hint=routing.hint,
        weights=_given(routing.objective.weights),
        limits=msgspec.to_builtins(routing.objective.limits),
        prompt_tokens=routing.prompt_tokens,
        max_completion_tokens=routing.max_completion_tokens,
        needs=sorted(routing.needs),
        features_hash=None if routing.features is None else VERSION,
        features=routing.features,
        candidates=msgspec.to_builtins(decision.verdicts),
        propensities=decision.propensities,
        choice=decision.choice,
        explored=decision.explored,
        violated=decision.violated,
        fallback_used=decision.fallback_used,
        pinned=pinned,
        prices=msgspec.to_builtins(decision.prices),
        valuation=None if decision.valuation is None else msgspec.to_builtins(decision.valuation),
        forced=decision.forced,
    )


def undecided_row(exchange: Exchange) -> DecisionRow:
    """A request that was answered without a decision, from a cache, or that we refused before one.

    It has no candidates: whoever learns from decisions passes over it.
    """
    request = exchange.request
    return DecisionRow(
        decision_id=exchange.decision_id,
        request_id=exchange.request_id,
        trace_id=exchange.timeline.trace_id,
        tenant=exchange.tenant.id,
        policy_hash="",
        created_at_s=exchange.clock.wall_s() - exchange.elapsed_s,
        route=request.route,
        tags=request.tags,
        service_tier=request.service_tier,
        hint=request.hint,
        weights={},
        limits=msgspec.to_builtins(request.limits),
        prompt_tokens=request.prompt_tokens,
        max_completion_tokens=request.max_completion_tokens,
        needs=sorted(request.needs),
        candidates=[],
        propensities={},
        choice=None,
        explored=False,
        violated=None,
        fallback_used=False,
        pinned=False,
    )


def _given(weights: Weights) -> dict[str, float]:
    """The weights without a `keep` that is not set: the column holds numbers only."""
    return {name: value for name, value in msgspec.to_builtins(weights).items() if value is not None}
