"""What a training came to: figures on held-out requests, for a program as JSON and for a person as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.training.dataset import Dataset
from policies.training.losses import quality_scores, quantile_scores, token_scores, usable
from policies.training.predict import Predictions

__all__ = ("Line", "lines", "lines_of", "markdown")

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


def lines_of(stored: Sequence[object]) -> list[Line]:
    """Lines as they were stored in a report."""
    return msgspec.convert(list(stored), list[Line])


def markdown(found: Sequence[Line]) -> str:
    """The scores as tables, one for each target."""
    text: list[str] = []
    for target in dict.fromkeys(line.target for line in found):
        text += [f"## {target.capitalize()} on held-out requests", ""]
        text += [*_target_table([line for line in found if line.target == target]), ""]
    return "\n".join(text)


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
