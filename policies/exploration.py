"""From what candidates are worth to exact probabilities, and from these to a choice."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from policies.belief import Belief
from policies.policy import Exploration
from policies.stakes import Stakes

__all__ = ("cautious", "early", "epsilon_softmax", "sample", "thompson", "with_trials")

F64 = NDArray[np.float64]


def epsilon_softmax(
    utilities: Sequence[float], *, epsilon: float, temperature: float, explorable: Sequence[bool]
) -> list[float]:
    """`(1 - epsilon) * softmax(utilities / temperature) + epsilon * uniform(explorable)`.

    One that is not explorable takes part in the softmax only if it is among the best: it is chosen on merit or not
    at all.

    Args:
        utilities: Finite, one per feasible candidate, at least one.
        epsilon: Share of the uniform part, in [0, 1]: each explorable candidate has at least epsilon / n.
        temperature: Above 0 a softmax; 0 puts its share on the best, ties sharing it evenly.
        explorable: Which candidates may be chosen without being the best; if none, there is no uniform part.

    Returns:
        Probabilities that sum to 1.
    """
    best = max(utilities)
    if temperature > 0.0:
        weights = [
            math.exp((u - best) / temperature) if may or u == best else 0.0
            for u, may in zip(utilities, explorable, strict=True)
        ]
    else:
        weights = [1.0 if u == best else 0.0 for u in utilities]
    return _mixed([weight / sum(weights) for weight in weights], epsilon=epsilon, explorable=explorable)


def cautious(belief: Belief, anchor: NDArray[np.intp] | int, *, caution: float) -> F64:
    """Shifts, less what is doubtful of any advantage over the candidate that is best on the tenant's traffic.

    Of `shift_a - shift_anchor` only what exceeds `caution` standard deviations counts where it is positive: a request
    sets a candidate apart only as far as that is sure, and none is thought worse for being unknown. Shape (k,), or
    (n, k) for n anchors.
    """
    ahead = belief.shift - belief.shift[anchor, None] if np.ndim(anchor) else belief.shift - belief.shift[anchor]
    shifts: F64 = belief.shift - np.minimum(np.maximum(ahead, 0.0), caution * belief.doubt[anchor])
    return shifts


def thompson(
    belief: Belief, stakes: Stakes, values: F64, *, how: Exploration, explorable: Sequence[bool], may: Sequence[bool]
) -> list[float]:
    """`(1 - epsilon) * P(best) + epsilon * uniform(explorable)`, P(best) over draws of the candidates' levels.

    Levels are drawn together, from their posterior at the tenant's traffic; the best of a draw there is that draw's
    anchor, and the request moves the choice away from it only by what is sure (`cautious`). The shares of wins over
    the draws, which are always the same, are the distribution that is logged and sampled from, so that the
    propensities are exact. Against the posterior's own P(best) a share p errs by sqrt(p * (1 - p) / draws): at most
    0.044 for 128. (Thompson, 1933; that the choice is sampled from an estimated distribution makes it usable
    off-policy.)

    Args:
        belief: About k candidates.
        stakes: In their choice.
        values: Utility of each at the mean of what is believed; shape (k,).
        how: Scale, caution, epsilon, draws.
        explorable: Which candidates may win by luck; another wins only where its value is the best.
        may: Which candidates may be chosen at all, at least one.

    Returns:
        k probabilities that sum to 1.
    """
    feasible = np.array(may)
    allowed = feasible & (np.array(explorable) | (values == values[feasible].max()))
    levels = belief.level[None]
    if belief.judged:
        levels = levels + how.scale * belief.draws[:, : how.draws].T
    anchors = np.where(feasible, stakes.usual_value(levels), -np.inf).argmax(axis=1)
    worth = stakes.value(levels + cautious(belief, anchors, caution=how.caution))
    wins = np.bincount(np.where(allowed, worth, -np.inf).argmax(axis=1), minlength=len(feasible)) / len(levels)
    # What even a perfect answer would not be worth its price for is not tried for the sake of trying.
    perfect = stakes.value(np.maximum(belief.level + belief.shift, 1.0)) >= values[feasible].max()
    reach = [a and b and bool(c) for a, b, c in zip(explorable, may, perfect, strict=True)]
    return _mixed(wins.tolist(), epsilon=how.epsilon, explorable=reach)


def early(belief: Belief, stakes: Stakes, values: F64, *, how: Exploration, explorable: Sequence[bool]) -> int | None:
    """The candidate that must have this request for an early answer; None where none needs it.

    Each has `min(first, sqrt(requests) / 2)` requests early, unless even two standard deviations above its mean it
    would not be worth what the best one is.
    """
    wanted = min(float(how.first), 0.5 * math.sqrt(belief.requests))
    needy = [place for place, may in enumerate(explorable) if may and belief.tried[place] < wanted]
    if not needy or not belief.judged:
        return None
    spread = belief.draws[:, : how.draws].std(axis=1)
    hopeful = stakes.value(belief.level + belief.shift + 2.0 * spread)
    needy = [place for place in needy if hopeful[place] >= values.max()]
    return min(needy, key=lambda place: belief.tried[place], default=None)


def with_trials(probabilities: Sequence[float], forced: Sequence[float]) -> list[float]:
    """The distribution once a share of it is forced: `(1 - sum(forced)) * p + forced`.

    Args:
        probabilities: Sum to 1.
        forced: Not negative; scaled down to sum to 1 at most.
    """
    total = sum(forced)
    scale = 1.0 / max(1.0, total)
    rest = 1.0 - min(1.0, total)
    return [rest * p + scale * share for p, share in zip(probabilities, forced, strict=True)]


def sample(probabilities: Sequence[float], rng: np.random.Generator) -> int:
    """Index drawn with these probabilities, by inverting their cumulative sum; never one of probability 0."""
    point, cumulative, last = rng.random(), 0.0, 0
    for index, probability in enumerate(probabilities):
        if probability > 0.0:
            cumulative += probability
            last = index
            if point < cumulative:
                return index
    return last


def _mixed(probabilities: Sequence[float], *, epsilon: float, explorable: Sequence[bool]) -> list[float]:
    """With a share spread evenly over those that are explorable, if any are."""
    reach = sum(explorable)
    uniform = epsilon if reach else 0.0
    return [
        (1.0 - uniform) * probability + (uniform / reach if may else 0.0)
        for probability, may in zip(probabilities, explorable, strict=True)
    ]
