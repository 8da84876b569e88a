"""The page on deploying says what is so: its values render, its commands exist, its table of alerts is complete."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from charts.generate.alert_table import alert_table
from charts.generate.documents import readme
from gateway.cli import main
from tests.helm import CHART, rendered
from tests.manifests import one

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
SETS = re.findall(r"<!-- values -->\n```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
OURS = [line.partition("trilemma --")[2] for line in PAGE.splitlines() if "trilemma --config" in line]


@pytest.mark.parametrize("text", SETS, ids=lambda text: text.split(":")[0])
def test_every_set_of_values_on_the_page_renders(text: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(text)
    assert one(rendered("--values", str(file)), "Deployment", "rel-trilemma")


def test_there_are_as_many_sets_as_the_page_shows() -> None:
    assert len(SETS) == PAGE.count("```yaml")


@pytest.mark.parametrize("command", OURS)
def test_every_command_of_ours_on_the_page_exists(command: str) -> None:
    asked = CliRunner().invoke(main, [*shlex.split(f"--{command}"), "--help"])
    assert asked.exit_code == 0, asked.output


def test_the_commands_on_the_page_are_those_that_the_notes_tell() -> None:
    notes = (CHART / "templates" / "NOTES.txt").read_text()
    assert "tenants add my-team" in notes
    assert any(command.endswith("tenants add my-team") for command in OURS)


def test_every_value_that_the_page_names_exists() -> None:
    known = set(re.findall(r"^\| `([\w.\[\]]+)`", readme(), flags=re.MULTILINE))
    tops = {name.partition(".")[0] for name in known}
    named = {
        name for name in re.findall(r"`([a-z]\w+(?:\.\w+)+)`", PAGE) if name.partition(".")[0] in tops - {"config"}
    }
    assert len(named) > 8
    assert named <= known


def test_the_table_of_alerts_is_made_from_the_rules() -> None:
    """Mend it with `make generate`."""
    assert f"<!-- alerts:begin -->\n{alert_table()}\n<!-- alerts:end -->" in PAGE


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    for group in yaml.safe_load((CHART / "rules" / "trilemma.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert rule["labels"]["severity"] in {"page", "ticket"}
                assert rule["annotations"].keys() == {"summary", "description"}
