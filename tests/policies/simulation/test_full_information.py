"""APGR and AIQ: who is scored by what, and the values that can be computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.simulation.catalogue import chosen
from policies.simulation.crossfit import out_of_fold
from policies.simulation.methods import Method
from policies.simulation.protocols import aiq, apgr
from policies.simulation.queries import Labelled, Queries
from tests.outcome_worlds import world

F64 = NDArray[np.float64]
ROWS = world(200)


class _Memory:
    """Predicts 1 for requests that it was fitted on, and 0 for others."""

    def __init__(self, rows: Labelled, _: np.random.Generator) -> None:
        self._seen = {id(features) for features in rows.queries.features}

    def predict(self, queries: Queries) -> tuple[F64, F64]:
        seen = np.array([[float(id(features) in self._seen)] * 2 for features in queries.features])
        return seen, seen


class _Truth:
    """Knows all outcomes."""

    def __init__(self, _: Labelled, __: np.random.Generator) -> None:
        self._rows = {id(features): i for i, features in enumerate(ROWS.queries.features)}

    def predict(self, queries: Queries) -> tuple[F64, F64]:
        rows = [self._rows[id(features)] for features in queries.features]
        return ROWS.quality[rows], ROWS.cost_usd[rows]


def test_no_row_is_predicted_by_a_fit_that_saw_it() -> None:
    quality, _ = out_of_fold(_Memory, ROWS, seed=3)
    assert not quality.any()


def test_who_knows_the_truth_has_the_oracles_apgr_and_who_knows_nothing_a_half() -> None:
    methods = [Method(name="truth", learner=_Truth), Method(name="memory", learner=_Memory)]
    found = apgr.measure(ROWS, methods, seeds=2)
    assert found["truth"].apgr == pytest.approx(found["oracle"].apgr)
    assert found["memory"].apgr == pytest.approx(0.5)
    assert found["random"].cpt80 == pytest.approx(0.8)


@pytest.mark.parametrize("name", ["trilemma", "tfidf", "knn", "linucb"])
def test_every_learner_tells_hard_prompts_from_easy_ones(name: str) -> None:
    learned = apgr.measure(ROWS, chosen([name]), seeds=1)[name]
    assert learned.apgr is not None
    # Who knows the kind of a prompt and nothing more has 0.75.
    assert learned.apgr > 0.65
    assert learned.ci95["apgr"][0] > 0.55


def test_aiq_of_fixed_arms_is_the_height_of_the_middle_of_their_line() -> None:
    found = aiq.measure(ROWS, chosen(["tfidf"]), seeds=1)
    assert found["zero-router"].aiq == pytest.approx(ROWS.quality.mean(), abs=1e-9)
    assert found["oracle"].aiq > found["tfidf"].aiq > found["zero-router"].aiq


def test_a_frontier_rises() -> None:
    frontier = np.array(aiq.measure(ROWS, chosen(["tfidf"]), seeds=1)["tfidf"].frontier)
    assert (np.diff(frontier, axis=0) > 0).all()
