"""The page about policies lists the fields there are, and shows commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.cli import main
from gateway.cli.field_table import field_table
from policies.documents.schema import PolicyDocument

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "policies.md").read_text()


def test_the_page_lists_every_field_as_the_schema_has_it() -> None:
    """Mend it with `trilemma policy schema --table`."""
    assert f" -->\n{field_table(PolicyDocument)}\n<!-- fields:end -->" in PAGE


def test_every_command_on_the_page_exists() -> None:
    group = main.commands["policy"]
    shown = set(re.findall(r"^trilemma policy (\w+)", PAGE, flags=re.MULTILINE))
    assert shown == {"lint", "diff", "evaluate", "upgrade", "publish", "rollback", "list", "show"}
    assert shown <= set(group.commands)  # type: ignore[attr-defined]


def test_every_code_of_a_finding_is_on_the_page() -> None:
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", PAGE.partition("## What the lint says")[2]))
    code = "".join(file.read_text() for file in (ROOT / "policies" / "documents").glob("lint*.py"))
    used = set(re.findall(r'code="([a-z-]+)"', code))
    assert used
    assert used <= named


def test_a_table_tells_ranges_defaults_and_what_must_be_there() -> None:
    rows = {row.split("`")[1]: row for row in field_table(PolicyDocument).splitlines()[2:]}
    assert "| number >= 0 <= 1 | `0.01` |" in rows["exploration.epsilon"]
    assert "| text | required |" in rows["rules[].name"]
    assert "| number >= -1 <= 1, by name |  |" in rows["rules[].then.prefer"]
