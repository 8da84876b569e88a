"""From the rows of a decision log, as plain names and numbers, to a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from policies.evaluation.logged import LoggedBatch

__all__ = ("LoggedChoice", "batch_from_log")

F64 = NDArray[np.float64]


class LoggedChoice(msgspec.Struct, frozen=True, kw_only=True):
    """One decision of the log whose answer was judged, and what the target policy would have done."""

    choice: str
    propensities: Mapping[str, float]
    """Probability of each candidate when it was drawn; a name left out has none."""
    reward: float
    target: Mapping[str, float]
    """Probability of each candidate in the policy to be judged; a name left out has none."""
    predicted: Mapping[str, float] | None = None
    """Reward a model predicts for each variant, fitted without this row; of all variants that matter to it."""

    def __post_init__(self) -> None:
        """A model that is silent about a variant must not be read as one that predicts 0."""
        if self.predicted is not None:
            needed = {self.choice, *(name for name, probability in self.target.items() if probability > 0.0)}
            if not needed <= self.predicted.keys():
                raise ValueError(f"no reward is predicted for {', '.join(sorted(needed - self.predicted.keys()))}")


def batch_from_log(rows: Sequence[LoggedChoice]) -> LoggedBatch:
    """Put rows with candidates of their own into common columns, sorted by name.

    Rows come and go with variants: one that a row knows nothing of has probability 0 there. Predictions are used when
    every row has them.

    Raises:
        ValueError: There are no rows, a choice is none of its row's candidates, or `LoggedBatch` refuses the rows.
    """
    names = sorted({name for row in rows for name in (row.choice, *row.propensities, *row.target)})
    column = {name: i for i, name in enumerate(names)}
    predicted = [row.predicted for row in rows if row.predicted is not None]
    return LoggedBatch(
        variants=tuple(names),
        actions=np.array([column[row.choice] for row in rows], np.intp),
        rewards=np.array([row.reward for row in rows], np.float64),
        logging=_columns([row.propensities for row in rows], column),
        target=_columns([row.target for row in rows], column),
        predicted=_columns(predicted, column) if rows and len(predicted) == len(rows) else None,
    )


def _columns(rows: Sequence[Mapping[str, float]], column: Mapping[str, int]) -> F64:
    values = np.zeros((len(rows), len(column)))
    for row, known in zip(values, rows, strict=True):
        for name, value in known.items():
            if name in column:
                row[column[name]] = value
    return values
