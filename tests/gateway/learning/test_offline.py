"""A policy is judged with the estimators that it would serve with, none of which learned from the answer judged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from sqlalchemy.engine import Engine

from gateway.decisions.write import insert
from gateway.learning import trainings
from gateway.learning.offline import estimators_apart
from gateway.learning.trainings import Author
from policies.errors import ArtifactError
from policies.estimators.card import CardEstimator
from policies.learner.learner import Learner
from policies.policy import LearnedUse, Policy
from policies.priorities import DEFAULT_POLICY
from tests.training_log import rows_of
from tests.training_rows import samples

VARIANTS = ("full", "quantized")
NAMES = [f"dec_{number:03}" for number in range(120)]
CARDS_ONLY = msgspec.structs.replace(DEFAULT_POLICY, learning=LearnedUse.NONE)


@pytest.fixture
def log(engine: Engine) -> Engine:
    """A database with judged requests."""
    rows = [row for sample, name in zip(samples(len(NAMES)), NAMES, strict=True) for row in rows_of(sample, name)]
    assert insert(engine, rows) == 0
    return engine


def learners(engine: Engine, policy: Policy = DEFAULT_POLICY) -> Sequence[Learner]:
    """The one for each request of the log."""
    estimator_for = estimators_apart(engine, policy, variants=VARIANTS)
    found = [estimator_for(name) for name in NAMES]
    assert all(isinstance(learner, Learner) for learner in found)
    return found  # type: ignore[return-value]


def test_a_request_is_decided_with_what_the_other_half_of_the_log_taught(log: Engine) -> None:
    for name, learner in zip(NAMES, learners(log), strict=True):
        counted = learner.state().counted
        assert name not in counted
        assert len(NAMES) / 4 < len(counted) < len(NAMES) * 3 / 4
        assert learner.requests == len(counted)


def test_a_document_without_estimators_is_judged_with_those_in_force_and_none_with_cards(log: Engine) -> None:
    assert {learner.fit.hash for learner in learners(log)} == {""}
    assert isinstance(estimators_apart(log, CARDS_ONLY, variants=VARIANTS)(NAMES[0]), CardEstimator)
    trainings.turn_off(log, author=Author(name="ada", reason="it answers badly"))
    assert isinstance(estimators_apart(log, DEFAULT_POLICY, variants=VARIANTS)(NAMES[0]), CardEstimator)


def test_a_pinned_estimator_that_is_not_stored_is_an_error(log: Engine) -> None:
    pinned = msgspec.structs.replace(DEFAULT_POLICY, estimators={"answers": "00" * 16})
    with pytest.raises(ArtifactError):
        estimators_apart(log, pinned, variants=VARIANTS)
