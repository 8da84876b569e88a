"""`trilemma simulate` as it is typed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.outcome_worlds import arrivals, write_table


def _run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, words)])


def test_one_table_prints_one_object_and_several_print_a_list(tmp_path: Path) -> None:
    one, two = write_table(tmp_path / "one.jsonl"), write_table(tmp_path / "two.jsonl.gz", seed=1)
    words = ("--protocol", "apgr", "--seeds", "1", "--methods", "tfidf", "--json")
    single = json.loads(_run(one, *words).stdout)
    assert (single["table"], single["protocol"], single["seeds"]) == ("one", "apgr", 1)
    assert single["methods"]["tfidf"]["apgr"] > 0.5
    both = json.loads(_run(one, two, *words).stdout)["tables"]
    assert [of["table"] for of in both] == ["one", "two"]
    assert both[0]["methods"] == single["methods"]


def test_a_warm_table_a_budget_and_a_picture(tmp_path: Path) -> None:
    stream, warm = write_table(tmp_path / "s.jsonl"), write_table(tmp_path / "w.jsonl", seed=1)
    words = ("--warm", warm, "--budget", "0.001", "--seeds", "1", "--plot", tmp_path / "p.png")
    done = _run(stream, "--protocol", "budget", *words, "--methods", "trilemma", "--json")
    ours = json.loads(done.stdout)["methods"]["trilemma"]
    assert ours["overspend"] < 0.05
    assert ours["p50_us"] > 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_tenants_share_servers_under_a_trace(tmp_path: Path) -> None:
    table, trace = write_table(tmp_path / "t.jsonl", rows=120), tmp_path / "a.csv"
    trace.write_bytes(arrivals(300))
    done = _run(table, "--protocol", "sla", "--trace", trace, "--seeds", "1", "--requests", "200", "--json")
    assert set(json.loads(done.stdout)["methods"]["trilemma"]["tenants"]) == {"support", "legal", "batch"}


def test_a_bad_line_is_named_by_file_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id":"1","prompt":"x","arms":{"a":{"quality":2,"cost_usd":0}}}\n')
    done = _run(path, "--protocol", "apgr")
    assert done.exit_code == 1
    assert f"{path}:1:1" in done.stderr
    assert "quality" in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--protocol", "apgr", "--methods", "nobody"), "there is no method `nobody`"),
        (("--protocol", "budget", "--budget", "0"), "dollars above 0"),
        (("--protocol", "aiq", "--plot", "p.gif"), ".png, .svg, .pdf"),
        (("--protocol", "luck"), "luck"),
    ],
)
def test_wrong_use_is_told_and_exits_with_2(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    done = _run(write_table(tmp_path / "t.jsonl"), *words)
    assert done.exit_code == 2
    assert says in done.stderr


def test_without_traces_the_sla_protocol_says_what_it_needs(tmp_path: Path) -> None:
    done = _run(write_table(tmp_path / "t.jsonl"), "--protocol", "sla")
    assert done.exit_code == 1
    assert "needs at least one trace" in done.stderr


@pytest.mark.parametrize("library", ["simpy", "matplotlib"])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    for module in ("queueing", "promises", "protocols.sla"):
        monkeypatch.delitem(sys.modules, f"policies.simulation.{module}", raising=False)
    monkeypatch.setitem(sys.modules, library, None)
    table, trace = write_table(tmp_path / "t.jsonl"), tmp_path / "a.csv"
    trace.write_bytes(arrivals(100))
    words = ("--protocol", "sla", "--trace", trace, "--seeds", "1", "--plot", tmp_path / "p.png")
    done = _run(table, *words)
    assert done.exit_code == 1
    assert f"{library} is not installed; `pip install 'trilemma[simulation]'`" in done.stderr
