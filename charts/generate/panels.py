"""Panels of a Grafana dashboard, each a few words longer than its query."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

__all__ = ("Panel", "Query", "dashboard")

SOURCE = {"type": "prometheus", "uid": "${source}"}
SCHEMA_VERSION = 39
"""Of Grafana's dashboards; later releases read it too."""
WIDE, HIGH = 24, 8
"""Columns of a dashboard, and rows of a panel."""

Unit = Literal["s", "reqps", "percentunit", "short", "bytes", "currencyUSD", "none"]
Kind = Literal["timeseries", "stat", "bargauge", "table"]


class Query(NamedTuple):
    """One query of a panel."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """One panel: what it shows, in which unit, and what a reader is to make of it."""

    title: str
    text: str
    unit: Unit
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 12
    stacked: Literal["normal", "none"] = "none"
    alarm_above: float | None = None
    """Red from here on."""


def dashboard(
    uid: str, title: str, text: str, panels: tuple[Panel, ...], *, choices: dict[str, str]
) -> dict[str, Any]:
    """A whole dashboard.

    Args:
        uid: Its lasting name, which links are made of.
        title: Its name for people.
        text: What it is for.
        panels: In reading order; laid out in rows.
        choices: Variables above it, each a label and the family that its values are found in.
    """
    return {
        "uid": uid,
        "title": title,
        "description": text,
        "tags": ["trilemma"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "links": [
            {"type": "dashboards", "tags": ["trilemma"], "title": "Trilemma", "asDropdown": True, "keepTime": True}
        ],
        "templating": {"list": [_source(), *(_choice(label, family) for label, family in choices.items())]},
        "panels": [_panel(number, panel, place) for number, (panel, place) in enumerate(_placed(panels), start=1)],
    }


def _placed(panels: tuple[Panel, ...]) -> list[tuple[Panel, dict[str, int]]]:
    """Left to right, a new row where one is full."""
    placed, x, y = [], 0, 0
    for panel in panels:
        if x + panel.width > WIDE:
            x, y = 0, y + HIGH
        placed.append((panel, {"x": x, "y": y, "w": panel.width, "h": HIGH}))
        x += panel.width
    return placed


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": place,
        "targets": [_target(panel, index, query) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _options(panel),
    }


def _target(panel: Panel, index: int, query: Query) -> dict[str, Any]:
    moment = panel.kind != "timeseries"
    return {
        "refId": "ABCDEFGH"[index],
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": moment,
        "range": not moment,
        "format": "table" if panel.kind == "table" else "time_series",
        "exemplar": not moment and "_bucket" in query.expr,
    }


def _field(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.alarm_above is not None:
        steps.append({"color": "red", "value": panel.alarm_above})
    field: dict[str, Any] = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        field["custom"] = {
            "fillOpacity": 25 if panel.stacked == "normal" else 5,
            "lineWidth": 1,
            "showPoints": "never",
            "stacking": {"mode": panel.stacked},
            "thresholdsStyle": {"mode": "off" if panel.alarm_above is None else "line"},
        }
    return field


def _options(panel: Panel) -> dict[str, Any]:
    match panel.kind:
        case "timeseries":
            legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case "table":
            return {"showHeader": True, "cellHeight": "sm"}
        case _:
            return {"reduceOptions": {"calcs": ["lastNotNull"], "values": False}, "orientation": "auto"}


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}}


def _choice(label: str, family: str) -> dict[str, Any]:
    query = f"label_values({family}, {label})"
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": label},
        "definition": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
    }
