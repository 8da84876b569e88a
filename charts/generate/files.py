"""Every generated file of the chart, by its path in it."""

from __future__ import annotations

from pathlib import Path

from charts.generate.dashboards import dashboards
from charts.generate.documents import readme, values_schema
from charts.generate.rules import rules

__all__ = ("CHART", "generated")

CHART = Path(__file__).parents[1] / "trilemma"


def generated() -> dict[str, str]:
    """Text by path."""
    made = {"values.schema.json": values_schema(), "README.md": readme(), "rules/trilemma.yaml": rules()}
    return made | {f"dashboards/{name}": text for name, text in dashboards().items()}
