"""Results, their intervals, and the picture."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from policies.simulation.catalogue import chosen
from policies.simulation.plot import draw
from policies.simulation.report import markdown
from policies.simulation.results import Figures, Result, Sampled, figures, mean_over_seeds
from policies.simulation.run import Options, simulate
from tests.outcome_worlds import table

CORE = (
    "quality", "cost_usd", "overspend", "apgr", "cpt50", "cpt80", "aiq", "sla_attainment", "p50_us", "p99_us", "ci95",
)  # fmt: skip


@pytest.fixture(scope="module")
def result() -> Result:
    return simulate(table(80), "aiq", Options(methods=chosen(["tfidf"]), seeds=1), now_ns=lambda: 0)


def test_every_method_has_every_figure_and_null_is_what_was_not_measured(result: Result) -> None:
    shown = msgspec.json.decode(msgspec.json.encode(result))
    assert {"table", "protocol", "seeds", "methods"} <= shown.keys()
    for of in shown["methods"].values():
        assert set(CORE) <= of.keys()
    assert shown["methods"]["tfidf"]["apgr"] is None
    assert shown["methods"]["tfidf"]["aiq"] > 0


def test_differences_are_paired_so_that_what_both_share_cancels() -> None:
    noise = [0.1, 0.5, 0.9, 0.3]
    theirs, ours = mean_over_seeds(noise), mean_over_seeds([value + 0.01 for value in noise])
    found = figures({"quality": theirs}, {"quality": ours})
    assert found.ours_above["quality"] == pytest.approx((0.01, 0.01))
    assert found.ci95["quality"][1] - found.ci95["quality"][0] > 0.1


def test_an_interval_narrows_with_more_seeds() -> None:
    rng = np.random.default_rng(0)
    low, high = mean_over_seeds(rng.normal(size=100).tolist()).interval
    less, more = mean_over_seeds(rng.normal(size=5).tolist()).interval
    assert high - low < more - less
    assert figures({"quality": Sampled(value=0.5)}, None).ci95 == {}


def test_the_table_names_every_method_and_only_measured_columns(result: Result) -> None:
    text = markdown(result)
    assert all(f"| {name} |" in text for name in result.methods)
    assert "AIQ" in text
    assert "APGR" not in text


def test_the_same_figures_draw_the_same_picture(result: Result) -> None:
    assert draw(result, "svg") == draw(result, "svg")
    assert draw(result, "png").startswith(b"\x89PNG")


def test_a_protocol_without_costs_has_no_frontier(result: Result) -> None:
    without = msgspec.structs.replace(result, protocol="apgr", methods={"random": Figures(apgr=0.5)})
    with pytest.raises(ValueError, match="no frontier"):
        draw(without)


def test_too_small_a_table_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="too few"):
        simulate(table(5), "apgr", Options(methods=[]), now_ns=lambda: 0)
