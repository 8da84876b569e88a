"""Figures of learning as sentences, for the page, the command and scripts. Names stand between backticks."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

from policies.evaluation.learning_types import (
    MIN_ESS,
    MIN_ROWS,
    FixedComparison,
    FixedVariant,
    LearningFigures,
    LeftOut,
)

__all__ = ("caveats", "headline", "period_text", "plus_minus", "signed")

MUCH = 0.05
"""A caveat is shown when it concerns more than this share of the requests."""

_LEFT_OUT = MappingProxyType(
    {
        LeftOut.NOT_JUDGED: "have no judged answer of their first choice",
        LeftOut.PINNED: "named their variant",
        LeftOut.FORCED: "were early answers that a variant needed",
        LeftOut.NOT_LINEAR: "were decided by a policy of formula `ratio`, which puts no price on money and time",
        LeftOut.NOT_PREDICTED: "were decided without predictions",
    }
)


def headline(figures: LearningFigures, *, period_s: float) -> str:
    """One sentence: whether routing is better than always taking the best variant."""
    fixed, best = figures.fixed, figures.fixed.against_best
    over = f"over the last {period_text(period_s)}"
    if not figures.requests:
        return f"No request was routed {over}."
    if best is None:
        return f"Whether routing is better than a single variant cannot be told {over}: {_why_not(fixed)}."
    low, high = best.interval.low, best.interval.high
    name, size = f"always `{best.variant}`", plus_minus(abs(best.difference), (high - low) / 2)
    if low > 0.0:
        return f"Routing is {size} better than {name}, {over}."
    if high < 0.0:
        return f"Routing is {size} worse than {name}, {over}."
    way = "better" if best.difference >= 0.0 else "worse"
    return f"Routing is about as good as {name}: {size} {way}, {over}."


def caveats(figures: LearningFigures, *, complete: bool) -> tuple[str, ...]:
    """What to know before believing the headline, each a sentence."""
    return tuple(_caveats(figures, complete=complete))


def period_text(period_s: float) -> str:
    """`24 hours`, `7 days`."""
    for unit, length_s in (("day", 86_400.0), ("hour", 3600.0), ("minute", 60.0)):
        count = period_s / length_s
        if count >= 2.0 or (count >= 1.0 and unit != "day"):
            shown = f"{count:.3g}"
            return unit if shown == "1" else f"{shown} {unit}s"
    return f"{period_s:.3g} seconds"


def plus_minus(value: float, margin: float) -> str:
    """`0.04 ± 0.02`: as many digits as the margin has one or two of."""
    digits = 2 if margin >= 0.01 else 3 if margin >= 0.001 else 4
    return f"{value:.{digits}f} ± {margin:.{digits}f}"


def signed(value: float, *, digits: int = 2) -> str:
    """With its sign; a minus of typography, so that columns are even."""
    rounded = round(value, digits) + 0.0  # So that nothing is shown as less than nothing.
    return f"{rounded:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _why_not(fixed: FixedComparison) -> str:
    if not fixed.variants:
        needed = f"{fixed.rows} requests were drawn by chance and judged, {MIN_ROWS} are needed"
        return needed.replace("1 requests were", "1 request was", 1) if fixed.rows == 1 else needed
    most = max(fixed.variants, key=lambda found: found.ess)
    return (
        f"no variant was chosen often enough where others could have been; `{most.variant}` comes nearest with"
        f" {most.ess:.0f} effective answers, {MIN_ESS:.0f} are needed"
    )


def _caveats(figures: LearningFigures, *, complete: bool) -> Iterator[str]:
    fixed, best = figures.fixed, figures.fixed.against_best
    if not complete:
        yield f"Only the newest {figures.requests:,} requests of the period were read."
    if fixed.worse_than is not None:
        yield (
            f"Routing is worse than always `{fixed.worse_than}` with 95 % confidence, all comparisons taken together."
        )
    if left := sum(fixed.left_out.values()):
        yield f"{fixed.rows:,} of {fixed.rows + left:,} requests are compared: {_left_out(fixed)}."
    if best is not None and best.possible < 1.0 - MUCH:
        yield (
            f"`{best.variant}` could not be chosen for {_percent(1 - best.possible)} of the compared requests; there"
            " routing counts as its equal."
        )
    if best is not None and best.from_predictions > MUCH:
        yield (
            f"For {_percent(best.from_predictions)} of the compared requests `{best.variant}` had so small a chance"
            " that its prediction stands for its answers."
        )
    yield from (_untold(found) for found in fixed.variants if best is not None and not found.told)


def _percent(share: float) -> str:
    """As pages have it."""
    return f"{100 * share:.0f} %"


def _left_out(fixed: FixedComparison) -> str:
    return ", ".join(
        f"{fixed.left_out[reason]:,} {text}" for reason, text in _LEFT_OUT.items() if reason in fixed.left_out
    )


def _untold(found: FixedVariant) -> str:
    way = "below" if found.predicted >= 0.0 else "above"
    return (
        f"`{found.variant}` was chosen too seldom to be compared ({found.ess:.0f} effective answers, {MIN_ESS:.0f}"
        f" are needed); it is predicted {abs(found.predicted):.2f} {way} routing."
    )
