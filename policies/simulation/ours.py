"""Our method: the learner, the decision and the pacer that serve requests, in the hands of the protocols.

Nothing here predicts, explores or weighs. An arm is a candidate with a price per token, which its price list states;
the tokens of an answer are what it cost in these, so that costs are learned as the lengths of answers are. Nothing
is stated of an arm's quality.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.decide import decide
from policies.learner.fit import first_fit
from policies.learner.learner import Learner
from policies.learner.schedule import is_due
from policies.objective import Objective, Weights
from policies.pacing import Pacer, choices
from policies.policy import Budget, Policy
from policies.prices import NO_PRICES, Prices
from policies.priorities import DEFAULT_POLICY
from policies.samples import Sample
from policies.simulation.methods import Method, Start, Task, World
from policies.simulation.queries import Labelled, Queries
from policies.training.answers import counted, fit_answers, refitted_answers
from policies.types import Candidate, CandidateState, Decision, Profile, RoutingRequest

__all__ = ("TRILEMMA", "Fitted", "arms_as_candidates")

F64 = NDArray[np.float64]

QUALITY_ONLY = Objective(weights=Weights(accuracy=1.0))
"""What a task wants beside its price of a dollar."""

GREEDY = msgspec.structs.replace(
    DEFAULT_POLICY, exploration=msgspec.structs.replace(DEFAULT_POLICY.exploration, epsilon=0.0, scale=0.0, first=0)
)
"""The policy that serves, without exploration."""

USUAL_TOKENS = 64.0
"""Of an answer, before anything is known: what the profile of a variant that was not measured says."""

TENANT = "default"
FULL_DIRECTIONS = 96
"""Of the text, where whole tables are revealed."""


def arms_as_candidates(arms: Sequence[str], usd_per_answer: Sequence[float]) -> list[Candidate]:
    """The arms, warm and idle, at the price list's mean price of an answer; nothing stated of their quality."""
    return [
        Candidate(
            name=arm,
            state=CandidateState.WARM,
            profile=Profile(quality=0.5, ttft_s=0.0, tpot_s=0.0, completion_tokens=USUAL_TOKENS, source="prior"),
            context_tokens=10**9,
            completion_per_token_usd=usd / USUAL_TOKENS,
        )
        for arm, usd in zip(arms, usd_per_answer, strict=True)
    ]


class _Book:
    """Turns outcomes into samples, as the log would have them."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self._seen = 0

    def sample(self, features: object, arm: int, *, quality: float, cost_usd: float, propensity: float) -> Sample:
        """One answered and judged request."""
        candidate = self._candidates[arm]
        price = candidate.completion_per_token_usd
        self._seen += 1
        return msgspec.structs.replace(
            _BLANK,
            decision_id=f"s{self._seen}",
            created_at_s=float(self._seen),
            variant=candidate.name,
            propensity=propensity,
            completion_tokens=max(1, round(cost_usd / price)) if price > 0.0 else round(USUAL_TOKENS),
            cost_usd=cost_usd,
            features=features,
            quality=float(quality),
        )


_BLANK = Sample(
    created_at_s=0.0,
    tenant=TENANT,
    variant="",
    propensity=1.0,
    state=CandidateState.WARM,
    queued=0,
    running=0,
    starts_in_s=None,
    prompt_tokens=1,
    max_completion_tokens=None,
    completion_tokens=1,
    cut=False,
    ttft_s=None,
    tpot_s=None,
    latency_s=None,
    cost_usd=0.0,
    features=None,
    quality_weight=1.0,
)


class Fitted:
    """What `trilemma train` makes of a log of these rows, frozen."""

    def __init__(self, rows: Labelled, _rng: np.random.Generator) -> None:
        """Fit on what is revealed."""
        self._arms = rows.arms
        self._usd = np.nanmean(rows.cost_usd, axis=0)
        self.candidates = arms_as_candidates(rows.arms, self._usd.tolist())
        book = _Book(self.candidates)
        self.samples = [
            book.sample(
                rows.queries.features[row],
                arm,
                quality=float(rows.quality[row, arm]),
                cost_usd=float(rows.cost_usd[row, arm]),
                propensity=1.0,
            )
            for row, arm in np.argwhere(~np.isnan(rows.quality)).tolist()
        ]
        fit = fit_answers(self.samples, start=first_fit(), directions=FULL_DIRECTIONS if len(rows) > 400 else None)
        profiles = {candidate.name: candidate.profile for candidate in self.candidates}
        self.learner = counted(fit, self.samples, profiles=profiles)
        for candidate in self.candidates:
            self.learner.tried[candidate.name] = len(rows)
        self.learner.requests = len(self.samples)

    def predict(self, queries: Queries) -> tuple[F64, F64]:
        """Quality and cost; shapes (n, k)."""
        quality, cost_usd = [], []
        for features in queries.features:
            found = self.learner.estimate(_request(features), self.candidates)
            quality.append(found.belief.level + found.belief.shift)
            cost_usd.append([estimate.cost_usd for estimate in found])
        shape = (len(queries), len(self._arms))
        return np.array(quality).reshape(shape), np.array(cost_usd).reshape(shape)


def prepare(world: World) -> Start:
    """Begin with what the warm table teaches, or with nothing."""
    if world.warm is None:
        return lambda task, rng: _Run(world, task, rng=rng, fitted=None)
    fitted = Fitted(world.warm, np.random.default_rng(0))
    return lambda task, rng: _Run(world, task, rng=rng, fitted=fitted)


TRILEMMA = Method(name="trilemma", learner=Fitted, prepare=prepare)


class _Run:
    def __init__(self, world: World, task: Task, *, rng: np.random.Generator, fitted: Fitted | None) -> None:
        self._world, self._task, self._rng = world, task, rng
        self._candidates = (
            arms_as_candidates(world.arms, world.usd_per_answer) if fitted is None else fitted.candidates
        )
        self._profiles = {candidate.name: candidate.profile for candidate in self._candidates}
        self._learner = Learner() if fitted is None else copy.deepcopy(fitted.learner)
        self._samples = [] if fitted is None else list(fitted.samples)
        self._fitted_at = self._learner.judged
        self._book = _Book(self._candidates)
        self._decided: Decision | None = None
        budget_usd = task.budget_usd
        self._pacer = None if budget_usd is None else Pacer(Budget(usd=budget_usd), now_s=0.0)

    def choose(self, row: int, *, among: tuple[int, ...]) -> int:
        if self._pacer is not None:
            self._pacer.admit(now_s=0.0)
        decision = self._decide(row, among, DEFAULT_POLICY)
        features, choice = self._world.queries.features[row], decision.choice or ""
        self._learner.decided(TENANT, features, choice=choice, prompt_tokens=_REQUEST.prompt_tokens)
        if self._pacer is not None:
            self._pacer.foresee(*choices(decision))
        self._decided = decision
        return self._world.arms.index(choice)

    def learn(self, row: int, arm: int, *, quality: float, cost_usd: float) -> None:
        if self._pacer is not None:
            self._pacer.charge(cost_usd)
        propensities = self._decided.propensities if self._decided is not None else {}
        sample = self._book.sample(
            self._world.queries.features[row],
            arm,
            quality=quality,
            cost_usd=cost_usd,
            propensity=propensities.get(self._world.arms[arm], 1.0),
        )
        self._samples.append(sample)
        self._learner.absorb(sample)
        if is_due(self._learner.judged, at_last=self._fitted_at):
            self._fitted_at = self._learner.judged
            self._train()
        self._learner.settle(TENANT)

    def greedy(self, rows: NDArray[np.int64], *, among: tuple[int, ...]) -> NDArray[np.int64]:
        chosen = [self._decide(row, among, GREEDY).choice or "" for row in rows.tolist()]
        return np.array([self._world.arms.index(name) for name in chosen], np.int64)

    def _decide(self, row: int, among: tuple[int, ...], policy: Policy) -> Decision:
        return decide(
            _request(self._world.queries.features[row]),
            [self._candidates[arm] for arm in among],
            policy,
            estimator=self._learner,
            rng=self._rng,
            prices=self._prices(),
        )

    def _prices(self) -> Prices:
        if self._pacer is not None:
            return Prices(per_usd=self._pacer.price_per_usd, ceiling_usd=self._pacer.ceiling_usd)
        return Prices(per_usd=self._task.per_usd) if self._task.per_usd else NO_PRICES

    def _train(self) -> None:
        """What the trainer does: fit, and promote what is better."""
        fit, verdict = refitted_answers(self._samples, self._learner.fit, profiles=self._profiles)
        if verdict.promoted:
            self._learner = self._learner.refitted(fit, self._samples)


def _request(features: object) -> RoutingRequest:
    return msgspec.structs.replace(_REQUEST, features=features)


_REQUEST = RoutingRequest(objective=QUALITY_ONLY, prompt_tokens=1, tenant=TENANT)
