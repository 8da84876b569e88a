"""Figures of learning as rows of texts: what the page shows, and the command prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from gateway.console.amounts import NONE, moment, number, percent, seconds, usd
from gateway.learning.learning_report import LearningReport, TrainingLine
from gateway.learning.learning_words import plus_minus, signed
from policies.evaluation.learning_types import (
    Compared,
    Coverage,
    ExplorationCost,
    FixedComparison,
    FixedVariant,
    Share,
    VariantFigures,
)

__all__ = (
    "CostRow",
    "FixedRow",
    "LearningView",
    "PredictionRow",
    "Tone",
    "TrainingRow",
    "Verdict",
    "learning_view",
    "verdict_tone",
)

Tone = Literal["good", "warn", "bad", ""]


class PredictionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A variant: what was predicted of it and what it did."""

    variant: str
    chosen: str
    judged: str
    quality: str
    """`0.65 → 0.63`: predicted, then realised."""
    quality_off: str
    """Realised less predicted, with twice its standard error."""
    quality_tone: Tone
    """`warn` where the difference is more than chance makes it."""
    latency: str
    latency_ratio: str
    """Realised over predicted."""
    ttft: str
    ttft_ratio: str
    cost: str
    cost_ratio: str
    below_median: str
    """Share of the answers that took no longer than the predicted median."""
    below_high: str
    """And than the predicted upper quantile."""
    below_high_tone: Tone


class FixedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Always taking one variant, against routing."""

    variant: str
    best: bool
    utility: str
    difference: str
    """Routing less this variant."""
    tone: Tone
    answers: str
    note: str


class CostRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one way of exploring cost."""

    what: str
    requests: str
    """Of all of this kind, those that did not go to the best candidate."""
    points: str
    """Utility lost by the average request, in hundredths."""
    all_points: str
    """The same in sum."""
    usd: str
    """Spent in addition, in sum; less than nothing where exploring was cheaper."""
    s: str
    """Likewise, seconds of latency."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one kind of estimator in a training."""

    kind: str
    promoted: bool
    because: str


class TrainingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One training, or what an operator did to its results."""

    number: int
    when: str
    did: str
    verdicts: tuple[Verdict, ...]


class LearningView(msgspec.Struct, frozen=True, kw_only=True):
    """All rows."""

    headline: str
    tone: Tone
    caveats: tuple[str, ...]
    predictions: tuple[PredictionRow, ...]
    fixed: tuple[FixedRow, ...]
    routed: str
    """Realised utility of routing."""
    costs: tuple[CostRow, ...]
    trainings: tuple[TrainingRow, ...]


def learning_view(report: LearningReport) -> LearningView:
    """Show a report."""
    figures, fixed = report.figures, report.figures.fixed
    return LearningView(
        headline=report.headline,
        tone=verdict_tone(fixed),
        caveats=report.caveats,
        predictions=tuple(_prediction(found) for found in figures.variants),
        fixed=tuple(_fixed(found, fixed.best) for found in fixed.variants),
        routed=NONE if fixed.utility is None else plus_minus(fixed.utility, 2.0 * (fixed.utility_se or 0.0)),
        costs=(_cost("chosen by chance", figures.drawn_cost), _cost("early answers", figures.forced_cost)),
        trainings=tuple(_training(line) for line in report.trainings),
    )


def verdict_tone(fixed: FixedComparison) -> Tone:
    """How the comparison came out."""
    best = fixed.against_best
    if fixed.worse_than is not None:
        return "bad"
    if best is None:
        return ""
    return "good" if best.interval.low > 0.0 else "warn" if best.interval.high < 0.0 else ""


def _prediction(found: VariantFigures) -> PredictionRow:
    quality, times = found.quality, found.latency_coverage
    high = None if times is None else times.below_high
    return PredictionRow(
        variant=found.variant,
        chosen=f"{found.chosen:,}",
        judged=f"{found.judged:,}",
        quality=NONE if quality is None else f"{number(quality.predicted)} → {number(quality.realised)}",
        quality_off=NONE if quality is None else _off(quality),
        quality_tone="warn" if quality is not None and _beyond_chance(quality) else "",
        latency=_pair(found.latency_s, seconds),
        latency_ratio=_ratio(found.latency_s),
        ttft=_pair(found.ttft_s, seconds),
        ttft_ratio=_ratio(found.ttft_s),
        cost=_pair(found.cost_usd, usd),
        cost_ratio=_ratio(found.cost_usd),
        below_median=NONE if times is None else percent(times.below_median.share),
        below_high=NONE if high is None else percent(high.share),
        below_high_tone="warn" if high is not None and _too_few(high, times) else "",
    )


def _off(quality: Compared) -> str:
    if quality.difference_se is None:
        return signed(quality.difference)
    return f"{signed(quality.difference)} ± {2.0 * quality.difference_se:.2f}"


def _beyond_chance(quality: Compared) -> bool:
    """By three standard errors: of a dozen variants, one is off by two of them without anything being wrong."""
    return quality.difference_se is not None and abs(quality.difference) > max(0.01, 3.0 * quality.difference_se)


def _too_few(high: Share, coverage: Coverage | None) -> bool:
    return coverage is not None and coverage.rows >= 20 and high.interval.high < 0.9


def _pair(found: Compared | None, shown: Callable[[float | None], str]) -> str:
    return NONE if found is None else f"{shown(found.predicted)} → {shown(found.realised)}"


def _ratio(found: Compared | None) -> str:
    return NONE if found is None or found.ratio is None else f"{found.ratio:.2f}x"


def _fixed(found: FixedVariant, best: str | None) -> FixedRow:
    if not found.told:
        note = f"too few; predicted {signed(found.predicted)}"
        return FixedRow(
            variant=found.variant,
            best=False,
            utility=NONE,
            difference=NONE,
            tone="",
            answers=f"{found.answers:,}",
            note=note,
        )
    low, high = found.interval.low, found.interval.high
    return FixedRow(
        variant=found.variant,
        best=found.variant == best,
        utility=number(found.utility),
        difference=f"{signed(found.difference)} ± {(high - low) / 2:.2f}",
        tone="good" if low > 0.0 else "bad" if high < 0.0 else "",
        answers=f"{found.answers:,}",
        note="",
    )


def _cost(what: str, cost: ExplorationCost) -> CostRow:
    points = cost.points_per_request
    return CostRow(
        what=what,
        requests=f"{cost.explored:,} of {cost.requests:,}",
        points=NONE if points is None or not cost.requests else f"{points:.2f}",
        all_points=NONE if cost.utility is None or not cost.requests else f"{100 * cost.utility:,.1f}",
        usd=NONE if not cost.explored else _signed_usd(cost.usd),
        s=NONE if not cost.explored else f"{signed(cost.s, digits=1)} s",
    )


def _signed_usd(value_usd: float) -> str:
    return ("+" if value_usd >= 0 else "\N{MINUS SIGN}") + usd(abs(value_usd))


def _training(line: TrainingLine) -> TrainingRow:
    if line.action == "fit":
        did = f"saw {line.rows:,} answers, {line.judged_rows:,} of them judged; took {seconds(line.took_s)}"
    else:
        did = f"{line.action} by {line.author}" + (f": {line.reason}" if line.reason else "")
    kinds = sorted(line.promoted.keys() | line.because.keys())
    return TrainingRow(
        number=line.number,
        when=moment(line.created_at_s),
        did=did,
        verdicts=tuple(
            Verdict(kind=kind, promoted=line.promoted.get(kind, False), because=line.because.get(kind, ""))
            for kind in kinds
        ),
    )
