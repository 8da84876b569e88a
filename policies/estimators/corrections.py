"""Live corrections of predicted times: by how much a variant is slower or faster now than its estimates say.

A card or a fit describes how a variant was when it was measured; a provider under load or a busy machine can change
that within seconds. The latest ratios of observed to predicted time are kept for each variant, time to first token
and time per token apart, and predictions are multiplied by their level.

The level is the weighted median of the log-ratios, so that a single stall hardly moves it. Recent answers count more:
a weight halves every `HALF_LIFE_ANSWERS` answers and every `HALF_LIFE_S` seconds. A level within what noise alone
explains is not used, so in steady traffic, or with only a few answers, the factor stays at or near 1. Once a variant
has had no answer for `PAUSE_S` its level halves every `HALF_LIFE_S` seconds: a variant that lost its traffic while it
was slow is predicted as before after a while, and is tried again.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ("NO_CORRECTION", "TimeCorrections", "TimeFactors")

HALF_LIFE_ANSWERS = 8.0
HALF_LIFE_S = 600.0

PAUSE_S = 300.0
"""Time without an answer after which a level begins to fade."""

MAX_FACTOR = 200.0
"""Factors lie between this and its inverse."""

KEPT = 40
"""Ratios kept of each time; the oldest of them weighs 1/30 of the newest."""

NOISE_Z = 4.0
"""Standard errors within which a level is taken for noise."""

PRIOR_ANSWERS = 3.0
"""A variant begins as if so many answers had taken exactly as long as predicted."""

PRIOR_SD = 0.4
PRIOR_SD_ANSWERS = 8.0
"""Scatter of log-ratios assumed before there are answers, and how many answers that assumption is worth."""

_MEDIAN_SE = math.sqrt(math.pi / 2.0)
"""Standard error of a median relative to that of a mean, for normal noise."""
_MAD_TO_SD = 1.4826
"""Standard deviation of normal noise relative to its median absolute deviation."""
_MAX_LOG = math.log(MAX_FACTOR)
_AGED = 0.5 ** (1.0 / HALF_LIFE_ANSWERS)


class TimeFactors(NamedTuple):
    """What to multiply predicted times by."""

    ttft: float = 1.0
    tpot: float = 1.0


NO_CORRECTION = TimeFactors()


class TimeCorrections:
    """The ratios of all variants. Mutable. The clock is an argument: Unix seconds where the state is shared."""

    def __init__(self) -> None:
        self._variants: dict[str, tuple[_Ratios, _Ratios]] = {}

    def observe(
        self,
        variant: str,
        *,
        predicted_ttft_s: float,
        observed_ttft_s: float | None,
        predicted_tpot_s: float,
        observed_tpot_s: float | None,
        now_s: float,
    ) -> None:
        """Take the times of one answer. A time that is None, not positive or not finite is left out.

        Args:
            variant: That answered.
            predicted_ttft_s: Without any correction, and without waiting for a start or for other requests.
            observed_ttft_s: Without waiting, too.
            predicted_tpot_s: Without any correction.
            observed_tpot_s: Per token after the first.
            now_s: When the request was decided.
        """
        ttft, tpot = self._ratios(variant)
        ttft.add(predicted_ttft_s, observed_ttft_s, now_s=now_s)
        tpot.add(predicted_tpot_s, observed_tpot_s, now_s=now_s)

    def factors(self, variant: str, *, now_s: float) -> TimeFactors:
        """The factors of a variant at a time; 1 for one that was never observed."""
        found = self._variants.get(variant)
        return NO_CORRECTION if found is None else TimeFactors(*(ratios.factor(now_s=now_s) for ratios in found))

    def all_factors(self, *, now_s: float) -> dict[str, TimeFactors]:
        """The factors of every variant at a time; those that are predicted right, or not observed, are left out."""
        found = {name: self.factors(name, now_s=now_s) for name in self._variants}
        return {name: factors for name, factors in found.items() if factors != NO_CORRECTION}

    def clear(self) -> None:
        """Forget everything, as when other predictions take the place of those that the ratios relate to."""
        self._variants.clear()

    def snapshot(self) -> dict[str, dict[str, list[list[float]]]]:
        """The state as plain values: by variant, and by `ttft` and `tpot`, pairs of time and log-ratio."""
        return {
            name: {"ttft": [list(pair) for pair in ttft.latest], "tpot": [list(pair) for pair in tpot.latest]}
            for name, (ttft, tpot) in self._variants.items()
        }

    def restore(self, state: Mapping[str, Mapping[str, Sequence[Sequence[float]]]]) -> None:
        """Add the ratios of a snapshot to those here; a pair that is here already counts once."""
        for name, by_time in state.items():
            ttft, tpot = self._ratios(name)
            ttft.merge(by_time.get("ttft", ()))
            tpot.merge(by_time.get("tpot", ()))

    def _ratios(self, variant: str) -> tuple[_Ratios, _Ratios]:
        return self._variants.setdefault(variant, (_Ratios(), _Ratios()))


@dataclass(kw_only=True)
class _Ratios:
    """The latest log-ratios of one time of one variant."""

    latest: list[tuple[float, float]] = field(default_factory=list)
    """Pairs of time and log-ratio, oldest first, in whatever order they came."""
    level: float = 0.0
    """The log of the factor when the newest answer came."""

    def add(self, predicted_s: float, observed_s: float | None, *, now_s: float) -> None:
        if observed_s is None or not (0.0 < predicted_s < math.inf and 0.0 < observed_s < math.inf):
            return
        insort(self.latest, (now_s, _bounded(math.log(observed_s) - math.log(predicted_s))))
        del self.latest[:-KEPT]
        self.level = _level(self.latest)

    def merge(self, pairs: Sequence[Sequence[float]]) -> None:
        sound = {
            (float(at_s), _bounded(ratio)) for at_s, ratio in pairs if math.isfinite(at_s) and math.isfinite(ratio)
        }
        self.latest = sorted({*self.latest, *sound})[-KEPT:]
        self.level = _level(self.latest)

    def factor(self, *, now_s: float) -> float:
        if self.level == 0.0:
            return 1.0
        return math.exp(self.level * _faded(now_s - self.latest[-1][0]))


def _bounded(log_ratio: float) -> float:
    return max(-_MAX_LOG, min(_MAX_LOG, log_ratio))


def _halved(age_s: float) -> float:
    """What is left of a weight after some time; clocks of other machines may be ahead of ours."""
    return float(0.5 ** (max(0.0, age_s) / HALF_LIFE_S))


def _faded(gap_s: float) -> float:
    """What is left of a deviation after some time without an answer."""
    return _halved(gap_s - PAUSE_S)


def _level(latest: Sequence[tuple[float, float]]) -> float:
    """The level of log-ratios as far as noise does not explain it."""
    if not latest:
        return 0.0
    values, weights = _weighted(latest)
    answers = sum(weights) ** 2 / sum(weight * weight for weight in weights)
    # The answers assumed before the first one age with those that come.
    values.append(0.0)
    weights.append(PRIOR_ANSWERS * _AGED ** len(latest))
    median = _weighted_median(values, weights)
    spread = _MAD_TO_SD * _weighted_median([abs(value - median) for value in values], weights)
    variance = (answers * spread**2 + PRIOR_SD_ANSWERS * PRIOR_SD**2) / (answers + PRIOR_SD_ANSWERS)
    noise = NOISE_Z * _MEDIAN_SE * math.sqrt(variance / answers)
    # 0 up to the noise, and soon the median itself beyond it: at twice the noise 15/16 of it.
    return 0.0 if abs(median) <= noise else median * (1.0 - (noise / median) ** 4)


def _weighted(latest: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Log-ratios, faded by the pauses since, and their weights; the newest first."""
    values, weights = [], []
    later_s, kept, weight = latest[-1][0], 1.0, 1.0
    for at_s, log_ratio in reversed(latest):
        gap_s = later_s - at_s
        if gap_s > PAUSE_S:
            kept *= _faded(gap_s)
        weight *= _halved(gap_s)
        values.append(kept * log_ratio)
        weights.append(weight)
        later_s, weight = at_s, weight * _AGED
    return values, weights


def _weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The least value with half of the weight at or below it."""
    half, below = sum(weights) / 2.0, 0.0
    ranked = sorted(zip(values, weights, strict=True))
    for value, weight in ranked:
        below += weight
        if below >= half:
            return value
    return ranked[-1][0]
