"""From a validated request to a logged choice: resolve the name, extract, freeze the candidates, decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec
import numpy as np

from backends import errors as backend
from gateway.decisions.log import DecisionLog
from gateway.errors import ForbiddenError, InvalidRequestError, ModelNotFoundError
from gateway.ledger.ledger import Ledger
from gateway.policyops.active import ActivePolicy
from gateway.routing.affordable import unaffordable
from gateway.routing.budgets import Budgets
from gateway.routing.candidates import freeze
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange
from gateway.routing.recording import decision_row
from gateway.routing.refusal import refusal
from gateway.routing.request import DEFAULT_PRIORITY, ValidRequest
from gateway.routing.terms import Terms
from gateway.sla.promises import Promises
from policies.decide import decide
from policies.estimators.base import Estimator
from policies.features.extract import extract
from policies.features.types import Prompt
from policies.objective import Limits, Objective, Weights
from policies.policy import Policy
from policies.prices import Prices
from policies.rules import apply
from policies.types import CandidateState, Decision, RoutingRequest
from policies.utility import shares

__all__ = ("Decider", "Estimators")


class Estimators(Protocol):
    """Says which estimator is in force."""

    @property
    def current(self) -> Estimator:
        """The one to decide with now."""
        ...

    @property
    def in_force(self) -> Mapping[str, str]:
        """Content hash of what was learned, by kind."""
        ...

    @property
    def tried(self) -> Mapping[str, int]:
        """Requests that each variant was chosen for."""
        ...


class Decider:
    """Chooses a variant for an exchange, and logs the choice with its propensities before anything is sent."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        aliases: dict[str, tuple[str, ...]],
        policies: ActivePolicy,
        estimators: Estimators,
        budgets: Budgets,
        promises: Promises,
        ledger: Ledger,
        log: DecisionLog,
        rng: np.random.Generator,
    ) -> None:
        self._catalogue = catalogue
        self._aliases = aliases
        self._policies = policies
        self._estimators = estimators
        self._budgets = budgets
        self._promises = promises
        self._ledger = ledger
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

    def pool(self, exchange: Exchange) -> frozenset[str]:
        """Variants that may answer a request: those its model names, as far as its tenant may use them.

        Raises:
            ModelNotFoundError: The request names no variant or alias.
            InvalidRequestError: What it names only embeds.
            ForbiddenError: Its tenant may use none of them.
        """
        allowed = exchange.tenant.variants
        reachable = self.reachable(exchange.request.model) & self._catalogue.generators
        if not reachable:
            raise InvalidRequestError(
                f"`{exchange.request.model}` embeds and generates nothing: send texts for it to /v1/embeddings",
                param="model",
                code="unsupported",
            )
        pool = reachable if allowed is None else reachable & frozenset(allowed)
        if not pool:
            names = ", ".join(sorted(allowed or ()))
            raise ForbiddenError(
                f"tenant `{exchange.tenant.id}` may not use `{exchange.request.model}`; it may use: {names}",
                param="model",
            )
        return pool

    def terms(self, exchange: Exchange) -> Terms:
        """What an answer must keep to be given to this request, whoever gave it, were it decided now.

        Raises:
            ApiError: As `pool` has it.
        """
        policy = self._policies.current
        if any(rule.match.language is not None for rule in policy.rules):
            _know(exchange)
        routing, ruling = apply(self._routing(exchange, policy), policy)
        allowed, scope, weights = routing.allowed or frozenset(), routing.scope, routing.objective.weights
        return Terms(
            policy=policy,
            limits=routing.objective.limits,
            variants=allowed if scope is None else frozenset(name for name in allowed if not scope.bars(name)),
            accuracy=(weights.keep or 1.0) * shares(weights)[0],
            quality_confidence=ruling.then.quality_confidence,
            likeness="refused" if ruling.rule is not None and not ruling.then.semantic_cache else "allowed",
        )

    def choose(self, exchange: Exchange) -> str:
        """Choose a variant that has not been tried for this request yet.

        Raises:
            ModelNotFoundError: The request names no variant or alias.
            ApiError: No candidate can take the request; the message says why.
        """
        request = exchange.request
        _know(exchange)
        with exchange.stage("decide"):
            decision = self._decide(exchange)
        if decision.choice is None:
            raise refusal(decision, request, retry_after_s=self._retry_after_s(decision))
        return decision.choice

    def alternative(self, exchange: Exchange) -> Decision | None:
        """Who would be asked now beside those that are being asked: a warm variant, or None; nothing is logged."""
        if exchange.policy is None:
            return None
        decision, _ = self._weigh(exchange, exchange.policy)
        warm = {v.variant for v in decision.verdicts if v.state is CandidateState.WARM}
        return decision if decision.choice in warm else None

    def _decide(self, exchange: Exchange) -> Decision:
        """One more decision of this request; the first is logged, and foreseen in the tenant's budget.

        Of later ones only those that found somebody replace it.
        """
        policy = exchange.policy = exchange.policy or self._policies.current
        earlier, (decision, routing) = exchange.decision, self._weigh(exchange, policy)
        if earlier is None or decision.choice is not None:
            exchange.decision, exchange.limits = decision, routing.objective.limits
        if earlier is None:
            exchange.estimators = self._estimators.in_force
            pinned = exchange.request.model in self._catalogue.names
            self._budgets.foresee(routing.tenant, decision)
            self._log.record(decision_row(exchange, decision, routing, pinned=pinned))
        return decision

    def _weigh(self, exchange: Exchange, policy: Policy) -> tuple[Decision, RoutingRequest]:
        """What would be decided now, and on what."""
        routing = msgspec.structs.replace(self._routing(exchange, policy), unaffordable=self._unaffordable(exchange))
        routing, ruling = apply(routing, policy)
        earlier = exchange.decision
        decision = decide(
            routing,
            freeze(self._catalogue.views()),
            policy,
            estimator=self._estimators.current,
            rng=self._rng,
            ruling=ruling,
            prices=earlier.prices if earlier else self._prices(exchange, policy),
            tried=self._estimators.tried,
        )
        return decision, routing

    def _unaffordable(self, exchange: Exchange) -> frozenset[str]:
        variants = (self._catalogue.view(name).variant for name in self.pool(exchange))
        available_usd = self._ledger.available_usd(exchange.tenant)
        return unaffordable(exchange.tenant, exchange.request, variants, available_usd=available_usd)

    def _retry_after_s(self, decision: Decision) -> float | None:
        """When the first of the variants that are shut out now may be asked again; None where none is."""
        shut = (self._catalogue.health.shut_s(v.variant) for v in decision.verdicts)
        return min((wait_s for wait_s in shut if wait_s is not None), default=None)

    def _prices(self, exchange: Exchange, policy: Policy) -> Prices:
        """What the policy's pacing, the tenant's promises and its account make of dollars and seconds."""
        tenant = exchange.tenant
        left_usd = self._ledger.available_usd(tenant)
        paced = self._budgets.prices(tenant.id, policy, own=tenant.budget, left_usd=left_usd)
        return paced.together(self._promises.prices(tenant)).together(Prices(ceiling_usd=left_usd))

    def _routing(self, exchange: Exchange, policy: Policy) -> RoutingRequest:
        """What the decision may know of the request."""
        request = exchange.request
        return RoutingRequest(
            objective=_objective(request, policy, self._promises.limits(exchange.tenant)),
            prompt_tokens=request.prompt_tokens,
            min_prompt_tokens=self._min_prompt_tokens(exchange),
            max_completion_tokens=request.max_completion_tokens,
            needs=request.needs,
            checks=len(request.all_checks),
            allowed=self.pool(exchange),
            failed=frozenset(attempt.variant for attempt in exchange.attempts) | frozenset(+exchange.calling),
            tenant=request.tenant,
            tags=request.tags,
            hint=request.hint,
            service_tier=request.service_tier or "default",
            features=exchange.features,
            now_s=exchange.clock.wall_s(),
        )

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


def _know(exchange: Exchange) -> None:
    """Extract the features of the prompt, once."""
    if exchange.features is None:
        with exchange.stage("features"):
            exchange.features = extract(_prompt(exchange.request))


def _prompt(request: ValidRequest) -> Prompt:
    """The request as features are extracted from it."""
    return Prompt(
        text=request.prompt,
        turns=request.turns,
        tools=len(request.payload.get("tools", ())),
        tenant=request.tenant,
        tags=request.tags,
        hint=request.hint,
    )


def _objective(request: ValidRequest, policy: Policy, promised: Limits) -> Objective:
    limits = request.limits.tightened(promised)
    if isinstance(request.priority, Weights):
        return Objective(weights=request.priority, limits=limits, stated_by="request")
    return Objective(weights=policy.priorities[request.priority or DEFAULT_PRIORITY], limits=limits)
