"""What a log cannot tell is said."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evaluation.diagnostics import SupportIssue, effective_sample_size, problems, support
from policies.evaluation.logged import LoggedBatch
from tests.logged_worlds import batches, drawn, softmax, world


@given(st.lists(st.floats(0, 1e300) | st.floats(1e-300, 1e-200), min_size=1, max_size=50).filter(any))
def test_the_effective_sample_size_is_between_one_and_the_rows(weights: list[float]) -> None:
    assert 1.0 - 1e-9 <= effective_sample_size(np.array(weights) / max(weights)) <= len(weights) + 1e-9


def test_equal_weights_all_count_and_no_weights_count_nothing() -> None:
    assert effective_sample_size(np.full(7, 0.3)) == pytest.approx(7.0)
    assert effective_sample_size(np.zeros(7)) == 0.0


@given(batches)
def test_on_the_policy_that_wrote_the_log_nothing_is_missing(batch: LoggedBatch) -> None:
    found = support(msgspec.structs.replace(batch, target=batch.logging))
    assert found.ess == pytest.approx(len(batch))
    assert (found.max_weight, found.impossible_mass) == pytest.approx((1.0, 0.0))
    assert found.weight_chance == 1.0


def test_a_log_with_overlap_has_no_problems() -> None:
    assert problems(support(world(1)[0]), min_ess=100) == ()


def issues(batch: LoggedBatch, *, min_ess: float = 10) -> list[SupportIssue]:
    return [problem.issue for problem in problems(support(batch), min_ess=min_ess)]


def test_too_few_effective_rows_are_a_problem() -> None:
    batch = world(2, rows=50)[0]
    assert issues(batch, min_ess=50) == [SupportIssue.FEW_ROWS]
    assert issues(batch, min_ess=10) == []


def test_target_mass_on_what_had_no_probability_is_a_problem() -> None:
    rng = np.random.default_rng(3)
    logging = np.tile([0.5, 0.5, 0.0], (300, 1))
    logging[::2] = 1 / 3
    batch = LoggedBatch(
        variants=("a", "b", "c"),
        actions=drawn(logging, rng),
        rewards=rng.random(300),
        logging=logging,
        target=np.tile([0.2, 0.2, 0.6], (300, 1)),
    )
    found = support(batch)
    assert found.impossible_mass == pytest.approx(0.3)
    assert issues(batch) == [SupportIssue.NEVER_POSSIBLE]
    assert problems(found, min_ess=10, max_missing=0.4) == ()


def test_a_variant_never_chosen_is_named() -> None:
    batch = world(4)[0]
    logging = softmax(np.tile([1.0, 1.0, -20.0], (len(batch), 1)))
    never = msgspec.structs.replace(batch, logging=logging, actions=drawn(logging, np.random.default_rng(5)))
    (problem,) = [p for p in problems(support(never), min_ess=0) if p.issue is SupportIssue.NEVER_TRIED]
    assert problem.detail.endswith(": c")


def test_propensities_that_the_choices_were_not_drawn_from_are_noticed() -> None:
    batch = world(6, rows=2000)[0]
    untrue = msgspec.structs.replace(batch, logging=np.roll(batch.logging, 1, axis=1))
    assert SupportIssue.WRONG_PROPENSITIES in issues(untrue)


def test_true_propensities_are_not_suspected() -> None:
    # Propensities as small as one in a million are among these; the bound on the chance holds for any.
    assert all(support(world(seed, sharpness=3.0)[0]).weight_chance > 1e-3 for seed in range(300))


def test_large_weights_are_counted() -> None:
    batch = world(7, sharpness=3.0)[0]
    found = support(batch, threshold=2.0)
    assert found.clipped_share == (batch.weights > 2.0).mean() > 0.0
    assert found.max_weight == batch.weights.max()
