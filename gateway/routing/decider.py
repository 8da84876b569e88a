"""From a validated request to a logged choice: resolve the name, freeze the candidates, decide, explain a refusal."""

from __future__ import annotations

import re

import msgspec
import numpy as np

from backends import errors as backend
from gateway.decisions.log import DecisionLog
from gateway.decisions.types import DecisionRow
from gateway.errors import ApiError, ContextLengthError, InvalidRequestError, ModelNotFoundError, UnavailableError
from gateway.policyops.active import ActivePolicy
from gateway.routing.candidates import freeze
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange
from gateway.routing.request import ValidRequest
from policies.decide import decide
from policies.estimators.base import Estimator
from policies.policy import Policy
from policies.rules import apply
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
        policies: ActivePolicy,
        estimator: Estimator,
        log: DecisionLog,
        rng: np.random.Generator,
    ) -> None:
        self._catalogue = catalogue
        self._aliases = aliases
        self._policies = policies
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
        policy = exchange.policy = exchange.policy or self._policies.current
        routing = RoutingRequest(
            objective=_objective(request, policy),
            prompt_tokens=request.prompt_tokens,
            min_prompt_tokens=self._min_prompt_tokens(exchange),
            max_completion_tokens=request.max_completion_tokens,
            needs=request.needs,
            allowed=self._allowed(request.model),
            failed=frozenset(attempt.variant for attempt in exchange.attempts),
            tags=request.tags,
            hint=request.priority if isinstance(request.priority, str) else None,
            service_tier=request.service_tier or "default",
        )
        routing, _ = apply(routing, policy)
        candidates = freeze(self._catalogue.views())
        decision = decide(routing, candidates, policy, estimator=self._estimator, rng=self._rng)
        if exchange.decision is None:
            self._record(exchange, decision, routing)
        exchange.decision = decision
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

    def _record(self, exchange: Exchange, decision: Decision, routing: RoutingRequest) -> None:
        request = exchange.request
        self._log.record(
            DecisionRow(
                decision_id=exchange.decision_id,
                request_id=exchange.request_id,
                trace_id=_trace_id(request.traceparent),
                tenant="default",
                policy_hash=exchange.policy_hash,
                created_at_s=exchange.clock.wall_s(),
                route=request.route,
                tags=request.tags,
                service_tier=request.service_tier,
                hint=routing.hint,
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


def _objective(request: ValidRequest, policy: Policy) -> Objective:
    stated = request.priority or DEFAULT_PRIORITY
    if isinstance(stated, Weights):
        return Objective(weights=stated, limits=request.limits, stated_by="request")
    return Objective(weights=policy.priorities[stated], limits=request.limits)


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
    if ExclusionReason.RULE in kinds:
        return InvalidRequestError(
            f"the policy lets no variant of `{request.model}` answer ({detail})", code="policy"
        )
    needs = ", ".join(sorted(request.needs))
    return InvalidRequestError(f"no variant of `{request.model}` can do {needs} ({detail})", code="unsupported")
