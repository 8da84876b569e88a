"""From a validated request to a logged choice: resolve the name, freeze the candidates, decide, explain a refusal."""

from __future__ import annotations

import re

import msgspec
import numpy as np

from backends import errors as backend
from gateway.decisions.log import DecisionLog
from gateway.decisions.types import DecisionRow
from gateway.errors import ApiError, ContextLengthError, InvalidRequestError, ModelNotFoundError, UnavailableError
from gateway.routing.candidates import freeze
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange
from gateway.routing.request import ValidRequest
from policies.decide import decide
from policies.estimators.base import Estimator
from policies.policy import Policy
from policies.types import Decision, ExclusionReason, Objective, RoutingRequest, Weights

__all__ = ("Decider",)

DEFAULT_PRIORITY = "balanced"
RETRY_AFTER_S = 2.0
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?P<trace_id>[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class Decider:
    """Chooses a variant for an exchange, and logs the choice with its propensities before anything is sent."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        aliases: dict[str, tuple[str, ...]],
        policy: Policy,
        estimator: Estimator,
        log: DecisionLog,
        rng: np.random.Generator,
    ) -> None:
        self._catalogue = catalogue
        self._aliases = aliases
        self._policy = policy
        self._estimator = estimator
        self._log = log
        self._rng = rng

    @property
    def models(self) -> list[str]:
        """Every name that `model` may have."""
        return ["auto", *self._aliases, *self._catalogue.names]

    def reachable(self, model: str) -> frozenset[str]:
        """Variants that a request for this model may use."""
        allowed = self._allowed(model)
        return frozenset(self._catalogue.names) if allowed is None else allowed

    def choose(self, exchange: Exchange) -> str:
        """Choose a variant that has not been tried for this request yet.

        Raises:
            ModelNotFoundError: The request names no variant or alias.
            ApiError: No candidate can take the request; the message says why.
        """
        request = exchange.request
        routing = RoutingRequest(
            objective=self._objective(request),
            prompt_tokens=request.prompt_tokens,
            min_prompt_tokens=self._min_prompt_tokens(exchange),
            max_completion_tokens=request.max_completion_tokens,
            needs=request.needs,
            allowed=self._allowed(request.model),
            failed=frozenset(attempt.variant for attempt in exchange.attempts),
        )
        candidates = freeze(self._catalogue.views())
        decision = decide(routing, candidates, self._policy, estimator=self._estimator, rng=self._rng)
        if exchange.decision is None:
            self._record(exchange, decision, routing)
        exchange.decision, exchange.policy_hash = decision, self._policy.hash
        if decision.choice is None:
            raise _refusal(decision, request)
        return decision.choice

    def _allowed(self, model: str) -> frozenset[str] | None:
        if model == "auto":
            return None
        if model in self._aliases:
            return frozenset(self._aliases[model])
        if model in self._catalogue.names:
            return frozenset({model})
        raise ModelNotFoundError(model, known=self.models)

    def _min_prompt_tokens(self, exchange: Exchange) -> int:
        """A lower bound that learns from every variant which found the prompt too long."""
        request = exchange.request
        exceeded = [
            self._catalogue.view(attempt.variant).variant.context_tokens
            for attempt in exchange.attempts
            if attempt.error_type == backend.ContextLengthError.error_type
        ]
        return max(request.min_prompt_tokens, max(exceeded, default=0) + 1 - (request.max_completion_tokens or 1))

    def _objective(self, request: ValidRequest) -> Objective:
        priority = request.priority or DEFAULT_PRIORITY
        weights = priority if isinstance(priority, Weights) else self._policy.priorities[priority]
        return Objective(weights=weights, limits=request.limits)

    def _record(self, exchange: Exchange, decision: Decision, routing: RoutingRequest) -> None:
        request = exchange.request
        self._log.record(
            DecisionRow(
                decision_id=exchange.decision_id,
                request_id=exchange.request_id,
                trace_id=_trace_id(request.traceparent),
                tenant="default",
                policy_hash=self._policy.hash,
                created_at_s=exchange.clock.wall_s(),
                route=request.route,
                tags=request.tags,
                service_tier=request.service_tier,
                hint=request.priority if isinstance(request.priority, str) else None,
                weights=msgspec.to_builtins(routing.objective.weights),
                limits=msgspec.to_builtins(routing.objective.limits),
                prompt_tokens=routing.prompt_tokens,
                max_completion_tokens=routing.max_completion_tokens,
                needs=sorted(routing.needs),
                candidates=msgspec.to_builtins(decision.verdicts),
                propensities=decision.propensities,
                choice=decision.choice,
                explored=decision.explored,
                violated=decision.violated,
                fallback_used=decision.fallback_used,
                pinned=request.model in self._catalogue.names,
            )
        )


def _trace_id(traceparent: str | None) -> str | None:
    match = _TRACEPARENT.fullmatch(traceparent or "")
    return match["trace_id"] if match else None


def _refusal(decision: Decision, request: ValidRequest) -> ApiError:
    """Why nobody could be chosen, said by the reasons that excluded those the request may use."""
    reasons = {v.variant: v.excluded_because for v in decision.verdicts if v.excluded_because is not None}
    asked = {n: e for n, e in reasons.items() if e.reason is not ExclusionReason.NOT_REQUESTED}
    detail = "; ".join(f"{name}: {exclusion.detail}" for name, exclusion in asked.items())
    kinds = {exclusion.reason for exclusion in asked.values()}
    if kinds & {ExclusionReason.UNAVAILABLE, ExclusionReason.FAILED_BEFORE}:
        return UnavailableError(f"no variant can answer now ({detail})", retry_after_s=RETRY_AFTER_S)
    if ExclusionReason.CONTEXT in kinds:
        return ContextLengthError(f"the prompt fits no variant's context ({detail})")
    needs = ", ".join(sorted(request.needs))
    return InvalidRequestError(f"no variant of `{request.model}` can do {needs} ({detail})", code="unsupported")
