"""The table of one evaluation, and how it is made from a log."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given

from policies.evaluation.diagnostics import SupportIssue
from policies.evaluation.estimators import Method
from policies.evaluation.from_log import LoggedChoice, batch_from_log
from policies.evaluation.logged import LoggedBatch
from policies.evaluation.report import Report, evaluate
from tests.logged_worlds import batches, world


def report(batch: LoggedBatch, **options: object) -> Report:
    return evaluate(batch, rng=np.random.default_rng(1), resamples=300, **options)


def test_all_estimators_stand_in_the_table_and_agree_on_a_good_log() -> None:
    batch, truth = world(1, rows=3000)
    found = report(batch)
    assert [line.method for line in found.lines] == list(Method)
    assert found.problems == ()
    for line in found.lines[1:]:
        assert line.value == pytest.approx(truth, abs=0.06)
        assert line.interval.low < line.value < line.interval.high


@given(batches)
def test_any_batch_gives_a_report_that_can_be_stored(batch: LoggedBatch) -> None:
    found = evaluate(batch, rng=np.random.default_rng(2), resamples=20)
    assert b'"confidence":0.95' in msgspec.json.encode(found)
    for line in found.lines:
        if line.guaranteed is not None:
            assert line.guaranteed.low - 1e-9 <= line.value <= line.guaranteed.high + 1e-9


def test_a_target_that_is_the_log_itself_has_no_lift() -> None:
    batch = world(3)[0]
    same = msgspec.structs.replace(batch, target=batch.logging)
    line = report(same).line(Method.IPS)
    assert line is not None
    assert (line.lift.low, line.lift.high) == pytest.approx((0.0, 0.0), abs=1e-9)


def test_a_better_policy_is_seen_to_be_better_than_the_log() -> None:
    batch, _ = world(4, rows=3000)
    assert batch.predicted is not None
    best = msgspec.structs.replace(batch, target=np.eye(3)[batch.predicted.argmax(axis=1)])
    line = report(best).line(Method.DR)
    assert line is not None
    assert line.lift.low > 0.05


def test_without_any_common_choice_the_report_refuses_instead_of_failing() -> None:
    batch, _ = world(5)
    other = msgspec.structs.replace(batch, target=np.eye(3)[(batch.actions + 1) % 3])
    found = report(other)
    assert found.line(Method.SNIPS) is None
    assert SupportIssue.FEW_ROWS in [problem.issue for problem in found.problems]


def test_a_guaranteed_bound_is_given_where_one_holds_and_is_the_wider_one() -> None:
    found = report(world(6, rows=3000)[0])
    assert [line.method for line in found.lines if line.guaranteed] == [Method.IPS, Method.DR]
    for line in found.lines:
        if line.guaranteed is not None:
            assert line.guaranteed.low < line.interval.low < line.interval.high < line.guaranteed.high


def test_rewards_outside_their_range_are_refused() -> None:
    batch, _ = world(7)
    with pytest.raises(ValueError, match="outside"):
        report(msgspec.structs.replace(batch, rewards=batch.rewards * 1000.0))


def choice(name: str, reward: float = 1.0, **changes: object) -> LoggedChoice:
    given = {"propensities": {"a": 0.5, "b": 0.5}, "target": {"a": 1.0}} | changes
    return LoggedChoice(choice=name, reward=reward, **given)


def test_rows_with_candidates_of_their_own_share_columns() -> None:
    batch = batch_from_log([choice("b"), choice("c", 0.5, propensities={"c": 1.0}, target={"c": 1.0})])
    assert batch.variants == ("a", "b", "c")
    assert batch.actions.tolist() == [1, 2]
    assert batch.logging.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    assert batch.target.tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert batch.predicted is None


def test_predictions_are_used_when_all_rows_have_them() -> None:
    told = {"a": 0.7, "b": 0.2, "gone": 0.9}
    batch = batch_from_log([choice("a", predicted=told), choice("b", predicted=told)])
    assert batch.predicted is not None
    assert batch.predicted.tolist() == [[0.7, 0.2], [0.7, 0.2]]
    assert batch_from_log([choice("a", predicted=told), choice("b")]).predicted is None


def test_a_model_silent_about_what_matters_is_refused() -> None:
    with pytest.raises(ValueError, match="predicted for b"):
        choice("b", predicted={"a": 0.5})


@pytest.mark.parametrize("rows", [[], [choice("z")], [choice("a", target={"a": 0.4})]])
def test_rows_that_are_no_log_are_refused(rows: list[LoggedChoice]) -> None:
    with pytest.raises(ValueError, match=r"probabilit|at least one"):
        batch_from_log(rows)
