"""The alerts as a table for people, kept on the page about deploying."""

from __future__ import annotations

import re
from pathlib import Path

from charts.generate.rules import alerts

__all__ = ("PAGE", "alert_table", "with_table")

PAGE = Path(__file__).parents[2] / "docs" / "deployment.md"
BEGIN, END = "<!-- alerts:begin -->\n", "\n<!-- alerts:end -->"


def alert_table() -> str:
    """One row for each alert and urgency."""
    rows = ["| alert | severity | says | fires |", "|---|---|---|---|"]
    for rule in alerts():
        labels = rule["labels"]
        after = "at once" if rule["for"] == "0m" else f"after {rule['for']}"
        if "window" in labels:
            after = f"over {labels['window']}, {after}"
        said = _plain(rule["annotations"]["summary"])
        rows.append(f"| `{rule['alert']}` | {labels['severity']} | {said} | {after} |")
    return "\n".join(rows)


def with_table(page: str) -> str:
    """The page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + alert_table() + END + rest.partition(END)[2]


def _plain(summary: str) -> str:
    """What Prometheus fills in, as a reader expects it."""
    labelled = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"*\1*", summary)
    return re.sub(r"\{\{ \$value[^}]*\}\}", "*so many*", labelled)
