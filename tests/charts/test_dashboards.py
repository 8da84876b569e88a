"""Dashboards are what Grafana takes for one: its own model reads every field of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from charts.generate.files import CHART

DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
UNMODELLED = {"definition"}
"""How Grafana shows a variable's query; its editor writes this, its model does not have it."""


def unread(stated: Any, read: Any, at: str = "") -> Iterator[str]:
    """Where what was read says less than, or something else than, what was stated."""
    if isinstance(stated, dict) and isinstance(read, dict):
        for name, value in stated.items():
            if name not in UNMODELLED:
                yield from unread(value, read.get(name), f"{at}.{name}")
    elif isinstance(stated, list) and isinstance(read, list) and len(stated) == len(read):
        for number, pair in enumerate(zip(stated, read, strict=True)):
            yield from unread(*pair, f"{at}[{number}]")
    elif stated != read:
        yield f"{at}: {stated!r} was read as {read!r}"


def read_back(stated: dict[str, Any]) -> Any:
    """What is left of a dashboard once Grafana's model has read it."""
    return json.loads(JSONEncoder().encode(Dashboard.from_json(stated)))


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: str(file.stem))
def test_grafana_s_own_model_reads_every_field(file: Path) -> None:
    stated = json.loads(file.read_bytes())
    assert list(unread(stated, read_back(stated))) == []


def test_a_field_that_the_model_does_not_know_is_found() -> None:
    wrong = json.loads(DASHBOARDS[0].read_bytes()) | {"panles": []}
    assert list(unread(wrong, read_back(wrong))) == [".panles: [] was read as None"]
