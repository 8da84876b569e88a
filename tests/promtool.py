"""The real promtool: rules are read and evaluated by Prometheus itself."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.system_tools import promtool

__all__ = ("checked", "told")


def checked(directory: Path, queries: list[str]) -> None:
    """Fail where Prometheus cannot read one of these queries."""
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(queries)]
    file = directory / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    _run("check", "rules", "--lint=none", str(file))


def told(directory: Path, rules: Path, tests: list[dict[str, Any]]) -> None:
    """Fail where the rules do not come to what each test says."""
    file = directory / "tests.yaml"
    document = {"rule_files": [str(rules.resolve())], "evaluation_interval": "1m", "tests": tests}
    file.write_text(yaml.safe_dump(document))
    _run("test", "rules", str(file))


def _run(*arguments: str) -> None:
    done = subprocess.run([promtool(), *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
