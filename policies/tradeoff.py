"""What a linear objective makes of two candidates' difference, in points of quality, and in words.

A point is a hundredth of quality. All is in points, so that what one is better by can be held against what its money
and time count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec

from policies.prices import Prices
from policies.types import Estimate, Verdict
from policies.valuation import Valuation
from policies.wording import points, quality, seconds, times, usd

__all__ = ("Rates", "chosen_against", "trade")

_LEAST = 0.05
"""Points of which no person needs to be told."""

_MOST = 1e12


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """What quality, dollars and seconds are worth to a request, the constraints of its tenant included."""

    weight: float
    """Utility of an answer of quality 1 against one of quality 0."""
    keep: float | None
    per_usd: float
    per_s: float

    @classmethod
    def of(cls, valuation: Valuation, prices: Prices) -> Rates:
        """Both together."""
        return cls(
            weight=valuation.quality_weight + prices.per_quality,
            keep=valuation.keep,
            per_usd=valuation.per_usd + prices.per_usd,
            per_s=valuation.per_s + prices.per_s,
        )

    def points(self, utility: float) -> float:
        """A difference of utilities; bounded."""
        return _bounded(100.0 * utility / self.weight)

    def charge(self, more: Estimate, less: Estimate) -> tuple[float, float]:
        """What the dollars and the seconds of one beyond those of another count, in points."""
        usd_, s = more.cost_usd - less.cost_usd, more.latency_s - less.latency_s
        return self.points(_bounded(self.per_usd * usd_)), self.points(_bounded(self.per_s * s))

    def of_a_point(self) -> str:
        """What is paid for a point at most: `$0.0004 or 1.2 s`; empty where only one side counts."""
        if self.weight <= 0.0:
            return ""
        return " or ".join(
            unit(self.weight / per / 100.0) for unit, per in ((usd, self.per_usd), (seconds, self.per_s)) if per > 0.0
        )


class _Trade(msgspec.Struct, frozen=True, kw_only=True):
    """The other one against the chosen one."""

    gain: float
    """By how many points it is predicted to be better."""
    counted: float
    """By how many it counts as better."""
    charge: float
    """How many points its further money and time count."""
    at: str
    """What of money and time is another: `at 29 times the price`; empty where nothing is that counts."""


def trade(chosen: Verdict, other: Verdict, *, rates: Rates, preferred: float) -> _Trade | None:
    """Compare two candidates; None where one was not weighed.

    Args:
        chosen: The one that is taken.
        other: The one that is not.
        rates: With a weight above 0.
        preferred: What a rule adds to the utility of the other beyond what it adds to that of the chosen one.
    """
    mine, theirs = chosen.estimate, other.estimate
    if mine is None or theirs is None or chosen.utility is None or other.utility is None:
        return None
    by_usd, by_s = rates.charge(theirs, mine)
    charge = by_usd + by_s
    return _Trade(
        gain=100.0 * (theirs.quality - mine.quality),
        counted=rates.points(_bounded(other.utility - chosen.utility - preferred)) + charge,
        charge=charge,
        at=_at(mine, theirs, by_usd, by_s),
    )


def chosen_against(
    chosen: Verdict,
    others: Sequence[Verdict],
    *,
    rates: Rates,
    payer: str,
    best: str,
    preferred: Sequence[float],
    sure: bool,
) -> str:
    """Why one candidate is worth more than others, as a sentence without its end.

    Args:
        chosen: The one of the highest utility.
        others: The rest of those that could be chosen, by descending utility, at least one.
        rates: With a weight above 0.
        payer: Whose objective it is, in words.
        best: What the chosen one is called where none of the others is predicted to be better.
        preferred: As `trade` has it, for each of the others.
        sure: Whether nothing but doubt can keep a predicted advantage from counting.
    """
    pairs = zip(others, preferred, strict=True)
    found = [(v, t) for v, p in pairs if (t := trade(chosen, v, rates=rates, preferred=p)) is not None]
    better = next(((v, t) for v, t in found if t.gain >= _LEAST), None)
    if better is not None:
        return _better(*better, rates=rates, payer=payer, sure=sure)
    praise = f"`{chosen.variant}` is predicted to be {best}{_of(chosen)}"
    if not rates.of_a_point():
        return f"{praise}, and neither money nor time counts"
    worse = next(((v, t) for v, t in found if -t.gain >= _LEAST and t.charge < 0.0 and t.at), None)
    if worse is None:
        return f"{praise}, and no other saves enough money or time to make up for it"
    variant, traded = worse
    return (
        f"{praise}: `{variant.variant}` would be {points(traded.gain)} worse {traded.at}, and {payer}, which pays up"
        f" to {rates.of_a_point()} for a point, counts that saving as {points(traded.charge)}"
    )


def _better(other: Verdict, traded: _Trade, *, rates: Rates, payer: str, sure: bool) -> str:
    """The other one is predicted to be better: why it is not worth it."""
    gain, counted = points(traded.gain), max(0.0, traded.counted)
    same = points(counted) == gain
    if traded.charge < _LEAST or not traded.at:
        doubt = "that is too uncertain to count" if sure else f"counts as no better with {payer}"
        return f"`{other.variant}` is predicted {gain} better, but {doubt}"
    why = "are sure enough to count" if sure and traded.counted <= traded.gain else "count"
    of_which = "" if same else f" (of which {_few(counted)} {why})" if counted < traded.gain else ""
    return (
        f"`{other.variant}` would be {gain} better{of_which} {traded.at}; {payer} pays up to {rates.of_a_point()}"
        f" for a point, and so counts the difference as {points(traded.charge)}"
    )


def _few(counted: float) -> str:
    return "none" if counted < _LEAST else points(counted).split(" point")[0]


def _of(verdict: Verdict) -> str:
    return "" if verdict.estimate is None else f" ({quality(verdict.estimate.quality)})"


def _at(mine: Estimate, theirs: Estimate, by_usd: float, by_s: float) -> str:
    """What of money and time counts in a difference; what is a tenth of it or less is left out."""
    least = max(_LEAST / 10.0, 0.1 * max(abs(by_usd), abs(by_s)))
    parts = []
    if abs(by_usd) > least:
        parts.append(_ratio(theirs.cost_usd, mine.cost_usd, "price", usd))
    if abs(by_s) > least:
        parts.append(_ratio(theirs.latency_s, mine.latency_s, "time", seconds))
    return f"at {' and '.join(parts)}" if parts else ""


def _ratio(theirs: float, mine: float, of: str, unit: Callable[[float], str]) -> str:
    ratio = theirs / mine if mine > 0.0 else math.inf
    if 1e-3 < ratio < 1e4 and not 0.95 <= ratio <= 1.05:
        return times(ratio, of)
    return f"{unit(theirs)} instead of {unit(mine)}"


def _bounded(value: float) -> float:
    """Within what can be added and subtracted without end; nothing where it is no number."""
    return 0.0 if math.isnan(value) else max(-_MOST, min(_MOST, value))
