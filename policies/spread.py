"""The distribution that a policy makes of the feasible candidates: early answers, exploration, then trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from policies.belief import Belief
from policies.exploration import early, epsilon_softmax, thompson, with_trials
from policies.policy import ExplorationMethod, Policy
from policies.stakes import Stakes
from policies.types import Candidate, CandidateState

__all__ = ("spread",)

F64 = NDArray[np.float64]


def spread(
    candidates: Sequence[Candidate],
    belief: Belief,
    stakes: Stakes,
    values: F64,
    *,
    feasible: Sequence[bool],
    policy: Policy,
    tried: Mapping[str, int],
) -> tuple[list[float], bool]:
    """Probability of each candidate, and whether one of them was forced; they sum to 1, infeasible ones have 0.

    Exploration wakes nobody up: a cold start costs the caller seconds and defeats stopping idle variants. A trial is
    forced only on requests that its variant may answer, and only until it has had its number of them.
    """
    how = policy.exploration
    explorable = [may and c.state is CandidateState.WARM for c, may in zip(candidates, feasible, strict=True)]
    if how.method is ExplorationMethod.THOMPSON and sum(feasible) > 1:
        held = np.where(np.array(feasible), values, -np.inf)
        if (place := early(belief, stakes, held, how=how, explorable=explorable)) is not None:
            return [float(number == place) for number in range(len(candidates))], True
        probabilities = thompson(belief, stakes, values, how=how, explorable=explorable, may=feasible)
    else:
        places = [place for place, may in enumerate(feasible) if may]
        shares = epsilon_softmax(
            [float(values[place]) for place in places],
            epsilon=how.epsilon,
            temperature=how.temperature,
            explorable=[explorable[place] for place in places],
        )
        by_place = dict(zip(places, shares, strict=True))
        probabilities = [by_place.get(place, 0.0) for place in range(len(candidates))]
    if not policy.trials:
        return probabilities, False
    open_ = {trial.variant: trial.share for trial in policy.trials if tried.get(trial.variant, 0) < trial.requests}
    forced = [open_.get(c.name, 0.0) if may else 0.0 for c, may in zip(candidates, explorable, strict=True)]
    return with_trials(probabilities, forced), False
