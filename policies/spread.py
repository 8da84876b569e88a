"""The distribution that a policy makes of the feasible candidates: exploration, then trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from policies.exploration import epsilon_softmax, thompson, with_trials
from policies.objective import Weights
from policies.policy import ExplorationMethod, Policy
from policies.types import Candidate, CandidateState, Estimate
from policies.utility import shares

__all__ = ("spread",)


def spread(
    feasible: Sequence[Candidate],
    estimates: Mapping[str, Estimate],
    values: Mapping[str, float],
    *,
    policy: Policy,
    weights: Weights,
    tried: Mapping[str, int],
    rng: np.random.Generator,
) -> list[float]:
    """Probability of each feasible candidate; they sum to 1.

    Exploration wakes nobody up: a cold start costs the caller seconds and defeats stopping idle variants. A trial is
    forced only on requests that its variant may answer, and only until it has had its number of them.
    """
    explorable = [candidate.state is CandidateState.WARM for candidate in feasible]
    means = [values[candidate.name] for candidate in feasible]
    how = policy.exploration
    if how.method is ExplorationMethod.THOMPSON and len(feasible) > 1:
        accuracy = shares(weights)[0]
        spreads = [accuracy * estimates[candidate.name].quality_se for candidate in feasible]
        probabilities = thompson(means, spreads, epsilon=how.epsilon, draws=how.draws, explorable=explorable, rng=rng)
    else:
        probabilities = epsilon_softmax(
            means, epsilon=how.epsilon, temperature=how.temperature, explorable=explorable
        )
    if not policy.trials:
        return probabilities
    open_ = {trial.variant: trial.share for trial in policy.trials if tried.get(trial.variant, 0) < trial.requests}
    forced = [open_.get(c.name, 0.0) if may else 0.0 for c, may in zip(feasible, explorable, strict=True)]
    return with_trials(probabilities, forced)
