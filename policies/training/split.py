"""Splitting by time: fitted on what came first, calibrated on what came then, judged on what came last."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ("Split", "by_time")

TRAIN_SHARE = 0.7
CALIBRATE_SHARE = 0.15

Rows = NDArray[np.int64]


class Split(NamedTuple):
    """Row numbers of the three parts, each rising in time."""

    train: Rows
    calibrate: Rows
    test: Rows


def by_time(created_at_s: NDArray[np.float64], variant: NDArray[np.str_]) -> Split:
    """Cut each variant's rows in time, at 70 % and 85 % of them.

    Each variant's and not the whole: a variant that came late, or was tried at the end of a run, is in all three
    parts. No row is used for a row of its own variant that came before it.
    """
    order = np.argsort(created_at_s, kind="stable")
    parts: list[list[Rows]] = [[], [], []]
    for name in np.unique(variant):
        rows = order[variant[order] == name]
        cuts = [round(len(rows) * TRAIN_SHARE), round(len(rows) * (TRAIN_SHARE + CALIBRATE_SHARE))]
        for part, piece in zip(parts, np.split(rows, cuts), strict=True):
            part.append(piece)
    return Split(*(_sorted(part, created_at_s) for part in parts))


def _sorted(pieces: list[Rows], created_at_s: NDArray[np.float64]) -> Rows:
    rows = np.concatenate([np.zeros(0, np.int64), *pieces])
    return rows[np.argsort(created_at_s[rows], kind="stable")]
