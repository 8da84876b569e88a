"""What a training came to: figures on held-out requests, for a program as JSON and for a person as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.training.cascade import Threshold
from policies.training.dataset import Dataset
from policies.training.gate import ALL, Comparison
from policies.training.losses import quality_scores, quantile_scores, token_scores, usable
from policies.training.predict import Predictions

__all__ = ("Line", "Report", "lines", "markdown")

LEAST_ROWS = 5
"""A group of fewer held-out rows gets no line."""

Scores = dict[str, float | None]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of one target on one group of held-out requests."""

    target: str
    """`quality`, `length`, `ttft` or `latency`."""
    group: str
    """`all`, `variant NAME` or `tenant NAME`."""
    n: int
    scores: dict[str, Scores]
    """By who predicted (`fitted`, `in force`, `card`, `constant`), then by score."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One training."""

    created_at_s: float
    """Unix time."""
    first_at_s: float
    last_at_s: float
    """Unix times of the first and the last request learned from."""
    rows: int
    judged_rows: int
    """Of them with a judgement of their quality."""
    parts: dict[str, int]
    """Rows of `train`, `calibrate` and `test`."""
    high: float
    """Level of the upper quantiles."""
    estimators: dict[str, str]
    """Content hash of each estimator in the draft, by kind."""
    kept: dict[str, list[str]]
    """By kind the variants for which the new fit is used; a kind of which nothing is used is missing."""
    comparisons: list[Comparison]
    """Why."""
    lines: list[Line]
    cascade: Threshold | None = None
    """What was learned for the policy's cascade."""


def lines(data: Dataset, said: Mapping[str, Predictions], *, high: float) -> list[Line]:
    """Score predictions, on all rows, by variant and by tenant.

    Args:
        data: Held-out rows.
        said: Predictions for all of them, by who made them.
        high: Level of the upper quantiles.
    """
    return [
        Line(
            target=target,
            group=group,
            n=int(rows.sum()),
            scores={who: _scores(target, p.take(rows), data.take(rows), high) for who, p in said.items()},
        )
        for target in ("quality", "length", "ttft", "latency")
        for group, member in _groups(data)
        if (rows := usable(target, data) & member).sum() >= LEAST_ROWS
    ]


def markdown(report: Report) -> str:
    """The report for a person."""
    span_h = (report.last_at_s - report.first_at_s) / 3600.0
    parts = ", ".join(f"{count} to {part}" for part, count in report.parts.items())
    first = f"{report.rows} requests over {span_h:.1f} h ({parts}); {report.judged_rows} judged."
    text = ["# Training report", "", first]
    text += [
        "",
        "## What is used",
        "",
        "A fit is used if, against what was there, it saves more loss on held-out requests than one standard error;",
        "a variant for which it is worse by as much is left out.",
        "",
    ]
    text += _table(
        ["estimator", "variant", "held-out rows", "loss saved", "used"],
        [
            [c.kind, c.variant, str(c.n), f"{c.gain:+.1%} ± {c.gain_se:.1%}", _used(c, report.kept)]
            for c in report.comparisons
        ],
    )
    text += _cascade(report.cascade) if report.cascade else []
    for target in dict.fromkeys(line.target for line in report.lines):
        text += ["", f"## {target.capitalize()} on held-out requests", ""]
        text += _target_table([line for line in report.lines if line.target == target])
    return "\n".join(text) + "\n"


def _cascade(learned: Threshold) -> list[str]:
    asks, wins, beyond = learned.escalates, learned.recovers, learned.recovers - learned.escalates
    return [
        "",
        "## Cascade",
        "",
        f"Below a confidence of {learned.threshold:.4f} the second variant is asked. On {learned.rows} requests that",
        f"both had answered that is, out of fold, {asks:.1%} of them, and wins back {wins:.1%} of what it is better",
        f"by: {beyond:+.1%} ± {learned.recovers_se:.1%} beyond chance.",
    ]


def _scores(target: str, said: Predictions, data: Dataset, high: float) -> Scores:
    if target == "quality":
        return quality_scores(said.quality, data)
    if target == "length":
        return token_scores(said.completion_tokens, data)
    if target == "ttft":
        return quantile_scores(data.ttft_s, said.ttft_s, said.ttft_high_s, high=high)
    return quantile_scores(data.latency_s, said.latency_s, said.latency_high_s, high=high)


def _groups(data: Dataset) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    yield "all", np.ones(len(data), np.bool_)
    for kind, column in (("variant", data.variant), ("tenant", data.tenant)):
        for name in np.unique(column).tolist():
            yield f"{kind} {name}", column == name


def _used(comparison: Comparison, kept: Mapping[str, Sequence[str]]) -> str:
    variants = kept.get(comparison.kind, ())
    return "yes" if comparison.variant in variants or (variants and comparison.variant == ALL) else "no"


def _target_table(some: Sequence[Line]) -> list[str]:
    names = list(next(iter(some[0].scores.values())))
    rows = [
        [line.group if first else "", str(line.n) if first else "", who, *(_figure(scores[name]) for name in names)]
        for line in some
        for first, (who, scores) in zip((True, *(False,) * 9), line.scores.items(), strict=False)
    ]
    return _table(["requests", "n", "predicted by", *names], rows)


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
