"""`trilemma train` on a real log: what it puts in force, when it does nothing, and what a person decides about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.engine import Engine

from gateway.cli import main
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.learning import trainings
from gateway.learning.store import EstimatorStore
from gateway.paths import StatePaths
from gateway.policyops.store import PolicyStore
from policies.estimators.latency import LatencyModel
from policies.learner.fit import Fit
from tests.decision_rows import sqlite_url
from tests.training_log import log_samples
from tests.training_rows import samples

VARIANT = (
    "{name: NAME, kind: remote, engine: openai, source: 'http://127.0.0.1:9', quality: 0.6, ttft_s: 0.2, tpot_s: 0.02"
)
CONFIG = f"""
variants:
  - {VARIANT.replace("NAME", "full")}, price: {{compute_per_hour_usd: 1}}}}
  - {VARIANT.replace("NAME", "quantized")}, price: {{compute_per_hour_usd: 1}}}}
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    """An installation of two variants, in the current directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trilemma.yaml").write_text(CONFIG)
    (tmp_path / "var").mkdir()
    return StatePaths(root=tmp_path / "var")


@pytest.fixture
def engine(paths: StatePaths) -> Iterator[Engine]:
    made = open_engine(sqlite_url(paths.root / "trilemma.db"))
    upgrade(made)
    yield made
    made.dispose()


def train(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments])


def test_an_empty_log_is_exit_code_1_and_says_what_to_do(paths: StatePaths, engine: Engine) -> None:
    result = train()
    assert result.exit_code == 1
    assert "0 answered requests" in result.output
    assert "trilemma calibrate" in result.output
    assert trainings.latest(engine) == []


def test_a_training_puts_in_force_what_is_better_and_says_why(paths: StatePaths, engine: Engine) -> None:
    log_samples(paths.root, samples(300))
    result = train()
    assert result.exit_code == 0, result.output
    [training] = trainings.latest(engine)
    assert (training.rows, training.judged_rows, training.author) == (300, 300, "trainer")
    assert set(training.because) == {"answers", "latency"}
    assert training.promoted["latency"]
    assert trainings.in_force(engine) == training.fitted
    assert "Training 1 read 300 answered requests, 300 of them judged" in result.output
    assert f"latency put in force: {training.because['latency']}" in result.output
    store = EstimatorStore(engine)
    assert LatencyModel.from_artifact(store.get(training.in_force["latency"], kind="latency"))
    if "answers" in training.in_force:
        assert Fit.from_artifact(store.get(training.in_force["answers"], kind="answers"))
    assert PolicyStore(engine).versions() == [], "documents are the business of people"


def test_the_same_log_again_replaces_no_times(paths: StatePaths, engine: Engine) -> None:
    log_samples(paths.root, samples(300))
    first = json.loads(train("--json").stdout)
    again = json.loads(train("--json").stdout)
    assert (first["number"], again["number"]) == (1, 2)
    assert not again["promoted"]["latency"], "a fit is not better than itself"
    assert again["in_force"]["latency"] == first["in_force"]["latency"]


def test_a_draft_waits_until_a_person_promotes_it(paths: StatePaths, engine: Engine) -> None:
    log_samples(paths.root, samples(300))
    result = train("--draft")
    assert result.exit_code == 0
    assert "trilemma train --promote" in result.output
    assert trainings.in_force(engine) == {}
    promoted = train("--promote", "1", "--reason", "it looks good", "--author", "alice")
    assert promoted.exit_code == 0, promoted.output
    assert "latency" in trainings.in_force(engine)
    assert trainings.latest(engine)[0].author == "alice"


def test_what_is_turned_off_stays_off(paths: StatePaths, engine: Engine) -> None:
    log_samples(paths.root, samples(300))
    assert train().exit_code == 0
    assert "nothing that was learned" in train("--off", "--reason", "a test").output
    assert train("--publish").exit_code == 0
    assert trainings.in_force(engine) == {}
    back = json.loads(train("--revert", "1", "--reason", "the test is over", "--json").stdout)
    assert back["in_force"] == trainings.in_force(engine) == trainings.find(engine, 1).in_force != {}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--promote", "1"), 2),
        (("--off", "--revert", "1", "--reason", "r"), 2),
        (("--if-due", "--watch"), 2),
        (("--revert", "9", "--reason", "r"), 1),
    ],
)
def test_wrong_use_and_missing_numbers(
    paths: StatePaths, engine: Engine, arguments: tuple[str, ...], code: int
) -> None:
    assert train(*arguments).exit_code == code


def test_on_schedule_it_waits_until_enough_is_new(paths: StatePaths, engine: Engine) -> None:
    log_samples(paths.root, samples(49))
    assert "nothing is due" in train("--if-due").output
    log_samples(paths.root, samples(60), prefix="more")
    assert "Training 1 read 109" in train("--if-due").output
    assert "nothing is due" in train("--if-due").output
    log_samples(paths.root, samples(60), prefix="yet more")
    assert "Training 2 read 169" in train("--if-due").output
