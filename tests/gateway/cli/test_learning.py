"""`trilemma learning`: tables that fit 80 columns for people, JSON for programs."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.cli.learning_views import print_learning
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.write import insert
from gateway.learning.learning_report import LearningQuery, LearningReport, TrainingLine
from gateway.learning.learning_words import period_text
from gateway.learning.periods import parse_period
from gateway.learning.report_process import learning_report
from tests.decision_rows import sqlite_url
from tests.routed_worlds import START_S, routed_world, rows_of

TRAINING = TrainingLine(
    number=7,
    created_at_s=START_S,
    rows=1200,
    judged_rows=640,
    promoted={"answers": True, "latency": False},
    because={"answers": "Worth 0.021 ± 0.008 more than what was in force.", "latency": "No better than it."},
    took_s=4.2,
)


def invoke(directory: Path, *words: str) -> Result:
    command = ["--var", str(directory), "learning", *words]
    return CliRunner().invoke(main, command, env={"COLUMNS": "80"})


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A log of 25 hours in which routing is better than every variant."""
    assert invoke(tmp_path).exit_code == 0
    [database] = tmp_path.glob("*.db")
    engine = open_engine(sqlite_url(database))
    insert(engine, rows_of(routed_world(1, rows=1500, sharpness=30.0).requests, ends_s=time.time() - 1))
    engine.dispose()
    return tmp_path


def test_an_empty_log_says_what_is_missing(tmp_path: Path) -> None:
    result = invoke(tmp_path)
    assert result.exit_code == 0
    assert result.stdout.startswith("No request was routed over the last 24 hours.")
    assert "none yet" in result.stdout


def test_the_tables_fit_80_columns_and_say_what_counts(directory: Path) -> None:
    result = invoke(directory, "--since", "2d")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "better than always large, over the last 2 days." in lines[0]
    for name in ("large (best)", "large", "mid", "small"):
        assert any(line.startswith(f"{name} ") for line in lines)
    assert any(line.startswith("chosen by chance") for line in lines)
    assert any("below p95" in line for line in lines)


def test_only_what_was_asked_for_is_counted(directory: Path) -> None:
    def requests(*words: str) -> int:
        report = msgspec.json.decode(invoke(directory, "--json", *words).stdout, type=LearningReport)
        return report.figures.requests

    assert requests("--since", "7d") == 1500
    assert requests("--since", "1h") == 60
    assert requests("--since", "7d", "--tenant", "zoo") == 0
    assert requests("--since", "7d", "--tenant", "law", "--hint", "balanced") == 1500


@pytest.mark.parametrize("period", ["", "24", "0h", "1 fortnight", "-1d", "1e9h", "401d"])
def test_a_period_that_is_none_is_wrong_use(tmp_path: Path, period: str) -> None:
    result = invoke(tmp_path, "--since", period)
    assert result.exit_code == 2
    assert "write 30m, 24h or 7d" in result.output


def test_trainings_say_what_they_saw_and_why_they_were_or_were_not_promoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    engine = open_engine(sqlite_url(tmp_path / "log.db"))
    upgrade(engine)
    reverted = msgspec.structs.replace(
        TRAINING, number=8, action="revert", author="ada", reason="worse in the evening"
    )
    monkeypatch.setattr("gateway.learning.trainings.latest", lambda engine, *, limit: [TRAINING, reverted])
    print_learning(learning_report(engine, LearningQuery(), now_s=START_S))
    engine.dispose()
    shown = capsys.readouterr().out
    assert "saw 1,200 answers, 640 of them judged; took 4.2 s" in shown
    assert "answers put in force: Worth 0.021 ± 0.008 more than what was in force." in shown
    assert "latency not put in force: No better than it." in shown
    assert "revert by ada: worse in the evening" in shown


def test_periods_are_read_in_seconds() -> None:
    assert [parse_period(text) for text in ("45s", "30m", "1.5h", " 7d ")] == [45.0, 1800.0, 5400.0, 604_800.0]


def test_the_default_period_is_a_day() -> None:
    assert period_text(LearningQuery().period_s) == "24 hours"
