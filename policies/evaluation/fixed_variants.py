"""Whether routing is worth more than always taking one variant, on the same requests.

Always taking `v` means `v` wherever it could have been chosen, and what the policy did elsewhere. Its utility is the
doubly robust estimate (SWITCH-DR, `policies.evaluation.estimators`): predictions that were made before the answer,
corrected by the answers that the log holds. Where `v` had so small a probability that one answer would stand for more
than `SWITCH_THRESHOLD` requests, the prediction alone counts, and its own standard error widens the interval.

What is left of bias, and which way it goes:

- The best fixed variant is the one of the highest estimate, and so its estimate is on average too high: routing looks
  a little worse against it than it is. The interval is that of the paired difference to this one variant, so that
  routing is better is said too seldom rather than too often. That it is worse is said only where an interval says so
  that is widened for the number of variants (Bonferroni): choosing among them makes no false alarms.
- A prediction that errs by more than its standard error says, for requests on which a variant was hardly ever tried,
  is not noticed here; the reliability figures show it.
- Only judged answers count. Where callers judge bad answers more often than good ones, all variants look worse.
- Answers after a failed attempt are left out, as are those that a cascade judged: a variant that fails often looks
  better than it is.
- Intervals are of one look. Who looks at a moving period every minute sees it lie outside now and then.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from policies.evaluation.diagnostics import effective_sample_size
from policies.evaluation.estimators import SWITCH_THRESHOLD, Method, ValueEstimate, logged_value, switch_dr
from policies.evaluation.from_log import LoggedChoice, batch_from_log
from policies.evaluation.interval import Interval
from policies.evaluation.intervals import student
from policies.evaluation.learning_types import MIN_ESS, MIN_ROWS, Block, FixedComparison, FixedVariant, LeftOut
from policies.evaluation.logged import SUM_TOLERANCE, LoggedBatch
from policies.evaluation.routed import RoutedRequest, counted_shares, utility

__all__ = ("against_fixed",)

F64 = NDArray[np.float64]

CONFIDENCE = 0.95
MAX_BLOCKS = 12
BLOCK_ROWS = 40


def against_fixed(requests: Sequence[RoutedRequest]) -> FixedComparison:
    """Compare routing with every variant that could have been chosen."""
    reasons = [_left_out(request) for request in requests]
    kept = [request for request, reason in zip(requests, reasons, strict=True) if reason is None]
    kept.sort(key=lambda request: request.created_at_s)
    left_out = dict(Counter(reason for reason in reasons if reason is not None))
    if len(kept) < MIN_ROWS:
        return FixedComparison(
            rows=len(kept),
            left_out=left_out,
            utility=None,
            utility_se=None,
            variants=(),
            best=None,
            worse_than=None,
            blocks=(),
        )
    case = _Case(kept)
    routed = logged_value(case.batch)
    pairs = [case.pair(column) for column in range(len(case.batch.variants))]
    told = sum(pair.told for pair in pairs)
    found = sorted((pair.fixed(looks=max(1, told)) for pair in pairs), key=lambda f: (not f.told, -f.utility))
    best = found[0].variant if found and found[0].told else None
    return FixedComparison(
        rows=len(kept),
        left_out=left_out,
        utility=routed.value,
        utility_se=routed.standard_error,
        variants=tuple(found),
        best=best,
        worse_than=next((f.variant for f in found if f.told and f.family_interval.high < 0.0), None),
        blocks=() if best is None else case.blocks(pairs[case.batch.variants.index(best)]),
    )


def _left_out(request: RoutedRequest) -> LeftOut | None:
    if request.pinned:
        return LeftOut.PINNED
    if request.forced:
        return LeftOut.FORCED
    if request.realised is None or request.realised.quality is None:
        return LeftOut.NOT_JUDGED
    if request.valuation is None:
        return LeftOut.NOT_LINEAR
    chosen, total = request.chosen, sum(verdict.propensity for verdict in request.verdicts)
    known = all(verdict.estimate is not None for verdict in request.verdicts if verdict.propensity > 0.0)
    if chosen is None or chosen.propensity <= 0.0 or not known or abs(total - 1.0) > SUM_TOLERANCE:
        return LeftOut.NOT_PREDICTED
    return None


class _Pair(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Routing and one fixed variant, row by row."""

    variant: str
    rewards: F64
    fixed_rewards: F64
    """Terms of the estimate; those of the log itself where the variant could not be chosen."""
    prediction_se: F64
    """Standard error of the prediction where it alone counts, else 0."""
    answers: int
    possible: float
    ess: float
    from_predictions: float
    predicted: float

    @property
    def told(self) -> bool:
        return self.ess >= MIN_ESS

    def difference(self, rows: slice = slice(None), *, confidence: float = CONFIDENCE) -> tuple[float, Interval]:
        """Routing less the fixed variant over some rows, with its interval.

        The errors of predictions are taken to be the same in all rows, which is the worst case: their mean is added
        to the spread of the rows as an error of its own.
        """
        terms = self.rewards[rows] - self.fixed_rewards[rows]
        estimate = ValueEstimate(method=Method.SWITCH_DR, numerators=terms, denominators=np.ones(len(terms)))
        spread = student(estimate, confidence=confidence).high - estimate.value
        z = float(stdtrit(math.inf, (1.0 + confidence) / 2.0))
        margin = math.hypot(spread, z * float(self.prediction_se[rows].mean()))
        return estimate.value, Interval(low=estimate.value - margin, high=estimate.value + margin)

    def fixed(self, *, looks: int) -> FixedVariant:
        difference, interval = self.difference()
        return FixedVariant(
            variant=self.variant,
            answers=self.answers,
            possible=self.possible,
            ess=self.ess,
            from_predictions=self.from_predictions,
            predicted=self.predicted,
            told=self.told,
            utility=float(self.fixed_rewards.mean()),
            difference=difference,
            interval=interval,
            family_interval=self.difference(confidence=1.0 - (1.0 - CONFIDENCE) / looks)[1],
        )


class _Case:
    """The compared requests as columns."""

    def __init__(self, requests: Sequence[RoutedRequest]) -> None:
        self.times_s = np.array([request.created_at_s for request in requests])
        rows = [_row(request) for request in requests]
        self.batch = batch_from_log([choice for choice, _ in rows])
        self._errors = np.array([[errors.get(name, 0.0) for name in self.batch.variants] for _, errors in rows])

    def pair(self, column: int) -> _Pair:
        """Routing and one variant."""
        batch = self.batch
        assert batch.predicted is not None
        possible = batch.logging[:, column] > 0.0
        fixed_rewards, errors = batch.rewards.copy(), np.zeros(len(batch))
        some = _always(batch, column, possible)
        weights = some.weights
        few = weights <= SWITCH_THRESHOLD
        fixed_rewards[possible] = switch_dr(some).contributions
        seldom = some.ratios[:, column] > SWITCH_THRESHOLD
        errors[possible] = np.where(seldom, self._errors[possible, column], 0.0)
        routed = (batch.logging * batch.predicted).sum(axis=1)
        return _Pair(
            variant=batch.variants[column],
            rewards=batch.rewards,
            fixed_rewards=fixed_rewards,
            prediction_se=errors,
            answers=int((batch.actions == column).sum()),
            possible=float(possible.mean()),
            ess=effective_sample_size(weights[few]),
            from_predictions=float(seldom.sum()) / len(batch),
            predicted=float(np.where(possible, routed - batch.predicted[:, column], 0.0).mean()),
        )

    def blocks(self, pair: _Pair) -> tuple[Block, ...]:
        """The comparison in pieces of as many requests each."""
        pieces = max(1, min(MAX_BLOCKS, len(self.times_s) // BLOCK_ROWS))
        edges = np.linspace(0, len(self.times_s), pieces + 1).astype(int)
        return tuple(self._block(pair, slice(a, b)) for a, b in itertools.pairwise(edges))

    def _block(self, pair: _Pair, rows: slice) -> Block:
        difference, interval = pair.difference(rows)
        times_s = self.times_s[rows]
        return Block(
            from_s=float(times_s[0]),
            until_s=float(times_s[-1]),
            rows=len(times_s),
            routed=float(pair.rewards[rows].mean()),
            fixed=float(pair.fixed_rewards[rows].mean()),
            difference=difference,
            interval=interval,
        )


def _always(batch: LoggedBatch, column: int, rows: NDArray[np.bool_]) -> LoggedBatch:
    """Some rows, with the target policy that always takes one variant."""
    assert batch.predicted is not None
    target = np.zeros((int(rows.sum()), len(batch.variants)))
    target[:, column] = 1.0
    return LoggedBatch(
        variants=batch.variants,
        actions=batch.actions[rows],
        rewards=batch.rewards[rows],
        logging=batch.logging[rows],
        target=target,
        predicted=batch.predicted[rows],
    )


def _row(request: RoutedRequest) -> tuple[LoggedChoice, dict[str, float]]:
    """A compared request, and the standard errors of its predicted utilities: those of the qualities."""
    realised, valuation = request.realised, request.valuation
    assert realised is not None
    assert realised.quality is not None
    assert valuation is not None
    counted = counted_shares(request)
    predicted, errors, propensities = dict[str, float](), dict[str, float](), dict[str, float]()
    for verdict in request.verdicts:
        name, estimate = verdict.variant, verdict.estimate
        if verdict.propensity > 0.0 and estimate is not None:
            propensities[name] = verdict.propensity
            predicted[name] = utility(
                request,
                quality=estimate.quality,
                cost_usd=estimate.cost_usd,
                latency_s=estimate.latency_s,
                counted=counted[name],
            )
            weight = valuation.quality_weight * counted[name] + request.prices.per_quality
            errors[name] = weight * estimate.quality_se
    reward = utility(
        request,
        quality=realised.quality,
        cost_usd=realised.cost_usd,
        latency_s=realised.latency_s,
        counted=counted[request.choice],
    )
    choice = LoggedChoice(
        choice=request.choice, propensities=propensities, reward=reward, target=propensities, predicted=predicted
    )
    return choice, errors
