"""A small world with promises: three variants, prompts of varying length, answers other than what was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from policies.decide import decide
from policies.objective import Limits, Objective, Weights
from policies.policy import Exploration, Policy
from policies.prices import NO_PRICES
from policies.priorities import DEFAULT_POLICY
from policies.promises.keeper import Answer, Keeper
from policies.types import Candidate, CandidateState, Decision, Estimate, Profile, RoutingRequest

__all__ = ("World", "candidates")

POLICY: Policy = msgspec.structs.replace(DEFAULT_POLICY, exploration=Exploration(epsilon=0.0))
QUALITY = {"fast": 0.55, "middle": 0.75, "best": 0.9}
TTFT_S = {"fast": 0.2, "middle": 0.6, "best": 1.2}
COST_USD = {"fast": 1e-5, "middle": 4e-5, "best": 2e-4}
NOISE = 0.35
"""Of the logarithm of a time."""


def candidates() -> list[Candidate]:
    """Three warm variants."""
    return [
        Candidate(
            name=name,
            state=CandidateState.WARM,
            profile=Profile(quality=quality, ttft_s=TTFT_S[name], tpot_s=0.01),
            context_tokens=4096,
        )
        for name, quality in QUALITY.items()
    ]


@dataclass
class World:
    """What every request meets. `late` and `worse` are how far reality is from the predictions."""

    weights: Weights
    late: float = 1.0
    """Factor of the real times."""
    worse: float = 0.0
    """Taken off the real quality."""
    judged: float = 0.0
    """Share of the answers that are judged."""
    gap_s: float = 1.0
    seed: int = 0
    chosen: list[str] = field(default_factory=list)
    ttft_s: list[float] = field(default_factory=list)
    quality: list[float] = field(default_factory=list)
    cost_usd: list[float] = field(default_factory=list)
    utility: list[float] = field(default_factory=list)
    """To the tenant's own weights, no price taken off."""
    _estimates: list[Estimate] = field(default_factory=list)

    def estimate(self, request: RoutingRequest, candidates: Sequence[Candidate]) -> list[Estimate]:
        return self._estimates

    def run(self, requests: int, *, keeper: Keeper | None, limits: Limits | None = None) -> None:
        """Send requests one after the other; the limits hold where there is no keeper to move them."""
        rng = np.random.default_rng(self.seed)
        for number in range(requests):
            now_s = number * self.gap_s
            self._estimates = self._predicted(rng)
            held, prices = limits or Limits(), NO_PRICES
            if keeper is not None:
                keeper.admit(now_s=now_s)
                held, prices = keeper.limits, keeper.prices
            request = RoutingRequest(objective=Objective(weights=self.weights, limits=held), prompt_tokens=50)
            decision = decide(request, candidates(), POLICY, estimator=self, rng=rng, prices=prices)
            self._answer(decision, rng, keeper, now_s)

    def _predicted(self, rng: np.random.Generator) -> list[Estimate]:
        hard, long = rng.normal(0.0, 0.1), rng.uniform(0.6, 1.6)
        return [
            Estimate(
                quality=float(np.clip(QUALITY[name] + hard + rng.normal(0.0, 0.05), 0.0, 1.0)),
                ttft_s=ttft_s * long,
                ttft_high_s=ttft_s * long * float(np.exp(1.645 * NOISE)),
                tpot_s=0.01,
                completion_tokens=50.0,
                latency_s=ttft_s * long + 0.5,
                cost_usd=COST_USD[name],
            )
            for name, ttft_s in TTFT_S.items()
        ]

    def _answer(self, decision: Decision, rng: np.random.Generator, keeper: Keeper | None, now_s: float) -> None:
        verdict = next(v for v in decision.verdicts if v.variant == decision.choice)
        assert verdict.estimate is not None
        assert verdict.worth is not None
        took_s = verdict.estimate.ttft_s * self.late * float(rng.lognormal(0.0, NOISE))
        predicted = verdict.estimate.quality
        score = float(rng.random() < max(0.0, predicted - self.worse))
        judged = rng.random() < self.judged
        self.chosen.append(verdict.variant)
        self.ttft_s.append(took_s)
        self.quality.append(score if judged else predicted)
        self.cost_usd.append(verdict.estimate.cost_usd)
        self.utility.append(verdict.worth or 0.0)
        if keeper is not None:
            able = [(v.worth, v.estimate.quality) for v in decision.verdicts if v.estimate and v.worth is not None]
            keeper.foresee([worth for worth, _ in able], [quality for _, quality in able])
            keeper.answered(Answer(ttft_s=took_s, latency_s=took_s + 0.5, quality=predicted), now_s=now_s)
            if judged:
                keeper.judged(change=score - predicted, window=keeper.window)
