"""Every generated file of the chart, by its path in it."""

from __future__ import annotations

from pathlib import Path

from charts.generate.documents import readme, values_schema

__all__ = ("CHART", "generated")

CHART = Path(__file__).parents[1] / "trilemma"


def generated() -> dict[str, str]:
    """Text by path."""
    return {"values.schema.json": values_schema(), "README.md": readme()}
