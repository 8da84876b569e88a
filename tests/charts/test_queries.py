"""Dashboards and rules ask for metrics that there are, by labels that they have, in queries that Prometheus reads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from charts.generate.files import CHART
from gateway.metrics.catalogue import FAMILIES
from tests.promtool import checked

RULES = CHART / "rules" / "trilemma.yaml"
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))
LABELS = {family.name: set(family.labels) for family in FAMILIES}
KINDS = {family.name: family.kind for family in FAMILIES}
PARTS = ("_bucket", "_sum", "_count")

NAMED = re.compile(r"(?<![:\w\"])((?:trilemma|gen_ai)_\w+)(?:\{([^}]*)\})?")
BY = re.compile(r"\b(?:by|on) \(([^)]*)\)")
RECORDED = re.compile(r"\b[\w]+:trilemma_\w+:\w+|\btrilemma:\w+:\w+")


def rules() -> Iterator[dict[str, str]]:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        yield from group["rules"]


def shown() -> Iterator[str]:
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            yield from (target["expr"] for target in panel["targets"])


QUERIES = [*(rule["expr"] for rule in rules()), *shown()]


def family_of(name: str) -> str:
    """The family of a sample; a histogram is only asked for by its parts."""
    for part in PARTS:
        base = name.removesuffix(part)
        if base != name and KINDS.get(base) == "histogram":
            return base
    assert KINDS.get(name) not in {None, "histogram"}, name
    return name


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_asks_for_what_there_is(query: str) -> None:
    plain = RECORDED.sub("", query)
    labels = {"le"}
    for name, selector in NAMED.findall(plain):
        family = family_of(name)
        labels |= LABELS[family]
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
        assert asked <= LABELS[family], f"{name} has no {asked - LABELS[family]}"
    if not RECORDED.search(query):
        assert NAMED.search(plain), query
        for named in BY.findall(query):
            assert set(filter(None, re.split(r",\s*", named))) <= labels, query


def test_counters_are_never_shown_as_they_stand() -> None:
    for query in QUERIES:
        for name in re.findall(r"\b(trilemma_\w+_total)\b(?!\w)", query):
            assert re.search(rf"(rate|increase)\({name}", query), query


def test_what_is_read_as_recorded_is_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    read = {name for query in QUERIES for name in RECORDED.findall(query)}
    assert read
    assert read <= recorded


def test_prometheus_reads_every_query_of_the_dashboards(tmp_path: Path) -> None:
    chosen = {"$__rate_interval": "5m", "$__range": "6h", "$tenant": ".*", "$variant": ".*"}
    queries = list(shown())
    for name, value in chosen.items():
        queries = [query.replace(name, value) for query in queries]
    assert len(queries) > 40
    assert not [query for query in queries if "$" in query]
    checked(tmp_path, queries)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_laid_out_without_gaps_or_overlaps(file: Path) -> None:
    board = json.loads(file.read_text())
    taken = set[tuple[int, int]]()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + dx, place["y"]) for dx in range(place["w"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        assert panel["description"], panel["title"]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert {choice["name"] for choice in board["templating"]["list"]} >= {"source"}


def test_what_a_dashboard_lets_one_choose_is_used_and_can_be_found() -> None:
    for file in DASHBOARDS:
        board = json.loads(file.read_text())
        queries = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
        choices = {c["name"]: c["query"] for c in board["templating"]["list"] if c["type"] == "query"}
        assert set(re.findall(r"\$(tenant|variant)\b", queries)) == choices.keys()
        for label, query in choices.items():
            family = re.fullmatch(r"label_values\((\w+), (\w+)\)", query["query"])
            assert family is not None
            assert label == family[2]
            assert label in LABELS[family[1]]
