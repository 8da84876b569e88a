"""Splitting by time: fitted on what came first, calibrated on what came then, judged on what came last."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ("Split", "by_time")

LONG = (0.7, 0.85)
SHORT = (0.5, 0.7)
"""Where the rows are cut, as shares of them. Of few rows more must be held out for the test to tell anything."""

FEW = 1000
"""Rows in all below which a log is short."""

Rows = NDArray[np.int64]


class Split(NamedTuple):
    """Row numbers of the three parts, each rising in time."""

    train: Rows
    calibrate: Rows
    test: Rows


def by_time(created_at_s: NDArray[np.float64], *, strata: NDArray[np.str_]) -> Split:
    """Cut each stratum's rows in time, at 70 % and 85 % of them; of a short log's, at 50 % and 70 %.

    Each stratum's and not the whole, so that all three parts have some of a variant that came late, and of judged
    answers where judging began late or ended early. No row is used for one of its own stratum that came before it.

    Args:
        created_at_s: When each row was decided; shape (n,).
        strata: Which rows are alike, such as those of one variant that were judged; shape (n,).
    """
    order = np.argsort(created_at_s, kind="stable")
    parts: list[list[Rows]] = [[], [], []]
    for name in np.unique(strata):
        rows = order[strata[order] == name]
        cuts = [round(len(rows) * share) for share in (SHORT if len(order) < FEW else LONG)]
        for part, piece in zip(parts, np.split(rows, cuts), strict=True):
            part.append(piece)
    return Split(*(_sorted(part, created_at_s) for part in parts))


def _sorted(pieces: list[Rows], created_at_s: NDArray[np.float64]) -> Rows:
    rows = np.concatenate([np.zeros(0, np.int64), *pieces])
    return rows[np.argsort(created_at_s[rows], kind="stable")]
