"""`trilemma tenants sla`: a table for people, JSON for programs, an exit code for alarms."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.decisions.types import Ending, Row
from gateway.decisions.write import insert
from tests.decision_rows import decision, outcome, sqlite_url
from tests.tenancy import opened_store

CONFIG = """
variants:
  - {name: only, kind: remote, engine: openai, source: "http://127.0.0.1:9", quality: 0.5, ttft_s: 0.1, tpot_s: 0.01,
     price: {prompt_per_mtok_usd: 1, completion_per_mtok_usd: 1}}
"""
TENANTS = """
tenants:
  - {id: law, sla: {window_s: 100, mean_quality: 0.8, availability: 0.9}, budget: {usd: 2}}
  - {id: zoo}
"""


def invoke(directory: Path, *words: str, config: str = CONFIG + TENANTS) -> Result:
    file = directory / "trilemma.yaml"
    file.write_text(config)
    return CliRunner().invoke(main, ["--config", str(file), "--var", str(directory), "tenants", "sla", *words])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A log in which the tenant `law` was failed in every other window."""
    assert invoke(tmp_path).exit_code == 0
    now_s, made = time.time(), list[Row]()
    for number in range(60):
        ending = Ending.FAILED if number // 10 % 2 else Ending.DONE
        made.append(decision(f"dec_{number}", tenant="law", created_at_s=now_s - 1 - 10 * number))
        made.append(outcome(f"dec_{number}", ending=ending, quality=0.9, ended_at_s=now_s))
    [database] = tmp_path.glob("*.db")
    with opened_store(sqlite_url(database)) as store:
        insert(store._engine, made)
    return tmp_path


def test_the_table_shows_every_promise_of_every_tenant(directory: Path) -> None:
    shown = invoke(directory).stdout
    lines = [line for line in shown.splitlines() if line.strip()]
    quality, availability = next(line for line in lines if "mean quality" in line), lines[2]
    assert quality.startswith("law")
    assert ">= 0.800" in quality
    assert "0.900" in quality
    assert ">= 90 %" in availability
    assert "!" in availability
    assert any(line.startswith("law: 60 requests since") and "0 of 2 USD spent" in line for line in lines)
    assert any(line.startswith("zoo: 0 requests") and "nothing was promised" in line for line in lines)


def test_json_holds_what_the_table_shows(directory: Path) -> None:
    [report] = msgspec.json.decode(invoke(directory, "law", "--windows", "5", "--json").stdout)["reports"]
    quality, availability = report["promises"]
    assert len(quality["windows"]) == 5
    assert quality["broken"] == 0
    assert quality["now"] is None or quality["now"] == pytest.approx(0.9)  # A window that has just begun is empty.
    assert availability["broken"] >= 2
    assert report["budget"]["usd"] == 2.0


@pytest.mark.parametrize(("words", "code"), [([], 0), (["--check"], 1), (["zoo", "--check"], 0)])
def test_the_check_fails_where_more_was_broken_than_may_be(directory: Path, words: list[str], code: int) -> None:
    assert invoke(directory, *words).exit_code == code


def test_a_tenant_that_there_is_not_is_told_in_one_line(directory: Path) -> None:
    result = invoke(directory, "nobody")
    assert result.exit_code == 1
    assert "there is no tenant `nobody`" in result.output


def test_without_tenants_it_says_how_to_make_one(tmp_path: Path) -> None:
    assert "trilemma tenants add" in invoke(tmp_path, config=CONFIG).stdout
