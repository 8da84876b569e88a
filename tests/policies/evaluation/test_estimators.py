"""Properties of the off-policy estimators, and that they find a known truth."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evaluation.estimators import Method, dm, dr, ips, logged_value, snips, switch_dr
from policies.evaluation.logged import LoggedBatch
from policies.evaluation.report import value_estimates
from tests.logged_worlds import batches, softmax, world


@given(batches)
def test_on_the_policy_that_wrote_the_log_ips_and_snips_are_the_mean(batch: LoggedBatch) -> None:
    same = msgspec.structs.replace(batch, target=batch.logging)
    assert ips(same).value == pytest.approx(batch.rewards.mean())
    assert snips(same).value == pytest.approx(batch.rewards.mean())


@given(batches)
def test_snips_stays_within_the_range_of_the_rewards(batch: LoggedBatch) -> None:
    assert batch.rewards.min() - 1e-12 <= snips(batch).value <= batch.rewards.max() + 1e-12


@given(batches)
def test_dr_is_the_direct_method_where_the_model_is_exact(batch: LoggedBatch) -> None:
    assert batch.predicted is not None
    exact = msgspec.structs.replace(batch, rewards=batch.chosen(batch.predicted))
    assert dr(exact).value == pytest.approx(dm(exact).value)


@given(batches)
def test_dr_is_ips_where_the_model_knows_nothing(batch: LoggedBatch) -> None:
    ignorant = msgspec.structs.replace(batch, predicted=np.zeros_like(batch.target))
    assert dr(ignorant).value == pytest.approx(ips(batch).value)


@given(batches)
def test_dr_is_the_direct_method_where_no_row_has_weight(batch: LoggedBatch) -> None:
    # The target always takes the next variant, so it never agrees with a logged choice.
    k = len(batch.variants)
    if k > 1:
        other = msgspec.structs.replace(batch, target=np.eye(k)[(batch.actions + 1) % k])
        assert dr(other).value == pytest.approx(dm(other).value)
        with pytest.raises(ValueError, match="no logged choice"):
            snips(other)


@given(batches)
def test_switching_lies_between_the_direct_method_and_dr(batch: LoggedBatch) -> None:
    assert switch_dr(batch, threshold=0.0).value == pytest.approx(dm(batch).value)
    assert switch_dr(batch, threshold=math.inf).value == pytest.approx(dr(batch).value)


@given(batches)
def test_contributions_of_the_rows_average_to_the_estimate(batch: LoggedBatch) -> None:
    for estimate in value_estimates(batch):
        assert estimate.contributions.shape == (len(batch),)
        assert estimate.contributions.mean() == pytest.approx(estimate.value, abs=1e-9)


@given(batches, st.floats(0.1, 10), st.floats(-5, 5))
def test_rewards_in_other_units_give_the_estimate_in_other_units(
    batch: LoggedBatch, scale: float, shift: float
) -> None:
    assert batch.predicted is not None
    moved = msgspec.structs.replace(
        batch, rewards=scale * batch.rewards + shift, predicted=scale * batch.predicted + shift
    )
    for method in (snips, dm, dr):
        assert method(moved).value == pytest.approx(scale * method(batch).value + shift, abs=1e-6)


def test_the_estimates_are_those_worked_out_by_hand() -> None:
    batch = LoggedBatch(
        variants=("a", "b"),
        actions=np.array([0, 1]),
        rewards=np.array([1.0, 0.5]),
        logging=np.array([[0.5, 0.5], [0.8, 0.2]]),
        target=np.array([[0.25, 0.75], [0.4, 0.6]]),
        predicted=np.array([[0.8, 0.4], [0.6, 0.3]]),
    )
    # Weights 0.5 and 3; the model expects 0.5 and 0.42, and errs by 0.2 on each of the rows.
    expected = {"logged": 0.75, "ips": 1.0, "snips": 2.0 / 3.5, "dm": 0.46, "dr": 0.81, "switch_dr": 0.51}
    found = {estimate.method.value: estimate.value for estimate in value_estimates(batch, threshold=2.0)}
    assert found == pytest.approx(expected)


def test_unbiased_estimators_find_the_truth_of_a_known_world() -> None:
    # 200 logs of 400 rows: the means have standard errors below 0.003, so four of them lie within 0.012.
    found: dict[Method, list[float]] = {}
    for seed in range(200):
        batch, truth = world(seed)
        for estimate in value_estimates(batch):
            found.setdefault(estimate.method, []).append(estimate.value - truth)
    for method in (Method.IPS, Method.SNIPS, Method.DR):
        assert np.mean(found[method]) == pytest.approx(0.0, abs=0.012)
    assert np.std(found[Method.DR]) < np.std(found[Method.IPS])


def test_dr_mends_a_wrong_model_and_the_direct_method_believes_it() -> None:
    errors = []
    for seed in range(100):
        batch, truth = world(seed)
        wrong = msgspec.structs.replace(batch, predicted=np.full_like(batch.target, 0.9))
        errors.append((dr(wrong).value - truth, dm(wrong).value - truth))
    of_dr, of_dm = np.mean(errors, axis=0)
    assert abs(of_dr) < 0.02 < 0.2 < of_dm


def test_estimators_that_need_a_model_say_so() -> None:
    batch = msgspec.structs.replace(world(1)[0], predicted=None)
    with pytest.raises(ValueError, match="predicted"):
        dr(batch)
    assert [estimate.method for estimate in value_estimates(batch)] == [Method.LOGGED, Method.IPS, Method.SNIPS]


def test_the_value_of_the_log_itself_is_its_mean() -> None:
    batch = world(2)[0]
    assert logged_value(batch).value == batch.rewards.mean()


GOOD = world(3, rows=5)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": GOOD.rewards[:-1]}, "same length"),
        ({"rewards": GOOD.rewards * np.nan}, "reward is not finite"),
        ({"actions": GOOD.actions + 3}, "none of the variants"),
        ({"actions": GOOD.actions - 3}, "none of the variants"),
        ({"logging": GOOD.logging * 1.01}, "logging probabilities"),
        ({"target": GOOD.target - 0.5}, "target probabilities"),
        ({"target": GOOD.target * np.nan}, "target probabilities"),
        ({"target": GOOD.target[:, :2]}, "shape"),
        ({"predicted": np.full((5, 3), np.inf)}, "predicted rewards"),
        ({"logging": np.eye(3)[(GOOD.actions + 1) % 3]}, "probability 0"),
        ({"variants": ()}, "at least one"),
    ],
)
def test_what_no_log_can_hold_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        msgspec.structs.replace(GOOD, **change)


def test_rounded_probabilities_are_taken_as_they_are() -> None:
    rounded = softmax(np.random.default_rng(4).normal(size=(5, 3))).round(7)
    assert len(msgspec.structs.replace(GOOD, logging=rounded)) == 5
