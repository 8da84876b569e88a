"""What is in force is the latest row of the history; people can go back, and trainings then wait for them."""

from __future__ import annotations

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.learning import trainings
from gateway.learning.errors import NoSuchTrainingError
from gateway.learning.store import EstimatorStore
from gateway.learning.tables import estimators
from gateway.learning.trainings import Action, Author
from policies.policy import LearnedUse
from policies.priorities import DEFAULT_POLICY
from tests.fitted import length_artifact
from tests.learned_state import a_fit

ALICE = Author(name="alice", reason="it answers badly")


@pytest.fixture
def names(engine: Engine) -> list[str]:
    """Hashes of estimators that are stored."""
    store = EstimatorStore(engine)
    return [store.put(length_artifact("full", tokens=float(tokens))) for tokens in (10, 20, 30)]


def test_before_any_training_nothing_is_in_force(engine: Engine) -> None:
    assert trainings.in_force(engine) == {}
    assert trainings.latest(engine) == []
    assert trainings.held_by(engine) is None


def test_a_training_puts_in_force_what_did_better_and_keeps_the_rest(engine: Engine, names: list[str]) -> None:
    first = trainings.record(engine, a_fit(length=names[0], latency=names[1]), publish=True)
    second = trainings.record(engine, a_fit(after=first.number, length=names[2]), publish=True)
    assert trainings.in_force(engine) == {"length": names[2], "latency": names[1]} == second.in_force
    assert second.promoted == {"length": True, "other": False}
    assert second.because == {"length": "it does better", "other": "it does not do better"}
    assert trainings.latest(engine) == [second, first]
    assert trainings.find(engine, first.number) == first


def test_a_draft_changes_nothing_until_a_person_promotes_it(engine: Engine, names: list[str]) -> None:
    draft = trainings.record(engine, a_fit(length=names[0]), publish=False)
    assert trainings.in_force(engine) == {}
    assert draft.promoted == {"length": False, "other": False}
    assert "trilemma train --promote" in draft.because["length"]
    made = trainings.promote(engine, draft.number, author=ALICE)
    assert trainings.in_force(engine) == {"length": names[0]}
    assert (made.action, made.author, made.reason) == (Action.PROMOTE, "alice", ALICE.reason)
    assert made.because == {"length": "alice promoted training 1: it answers badly"}


def test_after_an_operator_went_back_trainings_wait_until_one_is_promoted(engine: Engine, names: list[str]) -> None:
    first = trainings.record(engine, a_fit(length=names[0]), publish=True)
    second = trainings.record(engine, a_fit(after=first.number, length=names[1]), publish=True)
    back = trainings.revert(engine, first.number, author=ALICE)
    assert trainings.in_force(engine) == {"length": names[0]}
    assert trainings.held_by(engine) == back
    third = trainings.record(engine, a_fit(after=back.number, length=names[2]), publish=True)
    assert third.promoted["length"] is False
    assert "alice" in third.because["length"]
    assert trainings.held_by(engine) == back
    trainings.promote(engine, second.number, author=ALICE)
    assert trainings.in_force(engine) == {"length": names[1]}
    assert trainings.held_by(engine) is None


def test_turning_off_leaves_nothing_in_force(engine: Engine, names: list[str]) -> None:
    first = trainings.record(engine, a_fit(length=names[0]), publish=True)
    off = trainings.turn_off(engine, author=ALICE)
    assert trainings.in_force(engine) == {}
    assert (off.action, off.promoted) == (Action.OFF, {"length": False})
    trainings.revert(engine, first.number, author=ALICE)
    assert trainings.in_force(engine) == {"length": names[0]}


def test_a_fit_that_was_compared_with_what_is_gone_is_not_promoted(engine: Engine, names: list[str]) -> None:
    trainings.record(engine, a_fit(length=names[0]), publish=True)
    late = trainings.record(engine, a_fit(after=0, length=names[1]), publish=True)
    assert late.promoted["length"] is False
    assert trainings.in_force(engine) == {"length": names[0]}


def test_what_is_no_longer_stored_cannot_come_into_force(engine: Engine, names: list[str]) -> None:
    draft = trainings.record(engine, a_fit(length=names[0]), publish=False)
    with engine.begin() as connection:
        connection.execute(sa.delete(estimators).where(estimators.c.hash == names[0]))
    with pytest.raises(NoSuchTrainingError, match="no longer stored"):
        trainings.promote(engine, draft.number, author=ALICE)
    again = trainings.record(engine, a_fit(after=draft.number, length=names[0]), publish=True)
    assert (again.in_force, again.promoted["length"]) == ({}, False)


@pytest.mark.parametrize("change", [trainings.promote, trainings.revert])
def test_a_number_that_is_not_there_is_refused(engine: Engine, change: object) -> None:
    with pytest.raises(NoSuchTrainingError, match="no training 7"):
        change(engine, 7, author=ALICE)  # type: ignore[operator]


def test_a_training_that_found_nothing_better_cannot_be_promoted(engine: Engine) -> None:
    none = trainings.record(engine, a_fit(), publish=True)
    with pytest.raises(NoSuchTrainingError, match="nothing"):
        trainings.promote(engine, none.number, author=ALICE)


def test_old_trainings_are_forgotten_but_what_operators_did_is_kept(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "KEPT", 3)
    off = trainings.turn_off(engine, author=ALICE)
    for number in range(off.number, off.number + 6):
        trainings.record(engine, a_fit(after=number), publish=True)
    assert [t.number for t in trainings.latest(engine)] == [7, 6, 5, 1]


def test_a_policy_uses_what_is_in_force_what_it_pins_or_nothing() -> None:
    learned = {"answers": "a", "latency": "b"}
    pinned = msgspec.structs.replace(DEFAULT_POLICY, estimators={"latency": "c"})
    none = msgspec.structs.replace(pinned, learning=LearnedUse.NONE)
    assert trainings.used_by(DEFAULT_POLICY, learned) == learned
    assert trainings.used_by(pinned, learned) == {"answers": "a", "latency": "c"}
    assert trainings.used_by(none, learned) == {}
