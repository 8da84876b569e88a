"""What the documents promise names the test that holds it, and that test exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.observability_tables import DOCUMENT, rewritten

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
DOCUMENTS = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    for file, name in NAMED.findall(document.read_text(encoding="utf-8")):
        path = ROOT / file
        assert path.exists(), file
        assert not name or name in functions(path), f"{file} has no {name}"


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "chaos").glob("test_*.py")), ids=lambda path: path.name)
def test_every_way_of_breaking_things_is_in_the_table(path: Path) -> None:
    named = NAMED.findall((ROOT / "docs" / "reliability.md").read_text(encoding="utf-8"))
    missing = functions(path) - {name for file, name in named if file == f"tests/chaos/{path.name}"}
    assert not missing


def functions(path: Path) -> set[str]:
    """Names of the tests in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(tree) if isinstance(node, found) and node.name.startswith("test_")}


def test_what_is_traced_measured_and_logged_is_what_the_document_lists() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == rewritten(text), "python -m tests.observability_tables"
