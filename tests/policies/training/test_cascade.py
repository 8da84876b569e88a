"""The cascade's threshold: found where confidence tells, honest about what it does, and refused where it does not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.training.cascade import LEAST_ROWS, learn_threshold

F64 = NDArray[np.float64]


def world(rng: np.random.Generator, *, rows: int, tells: float, then: float = 0.95) -> tuple[F64, F64, F64]:
    """The first variant fails on the 40 % of the requests that it is, with probability `tells`, unsure of."""
    fails = rng.random(rows) < 0.4
    unsure = np.where(rng.random(rows) < tells, fails, rng.random(rows) < 0.4)
    confidence = np.where(unsure, rng.uniform(0.2, 0.6, rows), rng.uniform(0.6, 1.0, rows))
    return confidence, 1.0 - fails.astype(np.float64), (rng.random(rows) < then).astype(np.float64)


def test_the_threshold_is_found_where_the_confidence_tells() -> None:
    found = learn_threshold(*world(np.random.default_rng(1), rows=2000, tells=1.0))
    assert found is not None
    assert found.threshold == pytest.approx(0.6, abs=0.01)
    assert found.escalates == pytest.approx(0.4, abs=0.03)
    assert found.recovers == 1.0, "those kept lose a little, so that more than the whole advantage is won"
    assert found.rows == 2000


def test_what_is_expected_of_it_holds_on_requests_not_seen_before() -> None:
    """Where a fit on few rows would flatter itself most, judged on many: without bias over 200 logs."""
    rng = np.random.default_rng(2)
    later, first, then = world(rng, rows=50_000, tells=0.5)
    excess, kept = [], 0
    for _ in range(200):
        if (found := learn_threshold(*world(rng, rows=100, tells=0.5))) is None:
            continue
        escalated = later < found.threshold
        truly = (then - first)[escalated].sum() / (then - first).sum()
        excess.append((found.recovers - found.escalates) - (truly - escalated.mean()))
        kept += 1
    assert kept > 150
    assert abs(np.mean(excess)) < 0.05


def test_a_confidence_that_does_not_tell_is_mostly_turned_away() -> None:
    rng = np.random.default_rng(3)
    found = [learn_threshold(*world(rng, rows=200, tells=0.0)) for _ in range(200)]
    assert sum(each is not None for each in found) < 20


@pytest.mark.parametrize(
    ("rows", "then"), [(LEAST_ROWS - 1, 0.95), (400, 0.6), (400, 0.1)], ids=["too few", "no better", "worse"]
)
def test_without_enough_rows_or_a_better_second_variant_there_is_none(rows: int, then: float) -> None:
    assert learn_threshold(*world(np.random.default_rng(4), rows=rows, tells=1.0, then=then)) is None


def test_one_confidence_for_all_parts_nothing() -> None:
    _, first, then = world(np.random.default_rng(5), rows=400, tells=1.0)
    assert learn_threshold(np.full(400, 0.5), first, then) is None


def test_no_answer_lies_on_the_wrong_side_of_the_threshold() -> None:
    """The least and the greatest confidence of few distinct ones are told apart exactly."""
    confidence = np.tile([0.2, 0.4], 50)
    found = learn_threshold(confidence, np.tile([0.0, 1.0], 50), np.ones(100))
    assert found is not None
    assert 0.2 < found.threshold <= 0.4
    assert (found.escalates, found.recovers) == (0.5, 1.0)
