"""A policy is checked, published, compared and rolled back from the command line; exit code 1 means no."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.types import Row
from gateway.decisions.write import insert
from gateway.routing.policy import policy_from
from gateway.settings import load_settings
from policies.documents.compile import compile_document
from policies.documents.schema import decode_document
from tests.decision_rows import sqlite_url
from tests.policy_documents import a_document
from tests.training_log import rows_of
from tests.training_rows import samples

BAD = "schema_version: 2\nname: bad\nfallback: [quantised]\n"


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["policy", *arguments], prog_name="trilemma")


def publish(file: str, text: str | None = None, *options: str) -> Result:
    if text is not None:
        Path(file).write_text(text)
    return run("publish", file, "--reason", f"for {file}", "--author", "ada", *options)


def test_a_sound_document_is_ok() -> None:
    Path("p.yaml").write_text(a_document())
    result = run("lint", "p.yaml")
    note = (
        "p.yaml:1:1: note: this document keeps the estimators in force: `estimators` is absent [estimators-in-force]"
    )
    assert (result.exit_code, result.output) == (0, f"{note}\np.yaml: ok\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (BAD, "bad.yaml:3:12: error: unknown variant `quantised`; did you mean `quantized`? [unknown-variant]"),
        (
            "schema_version: 2\nname: x\nrulez: []\n",
            "bad.yaml:3:1: error: unknown key `rulez`; did you mean `rules`?",
        ),
    ],
)
def test_errors_are_told_with_their_line_and_exit_code_1(text: str, line: str) -> None:
    Path("bad.yaml").write_text(text)
    result = run("lint", "bad.yaml")
    assert result.exit_code == 1
    assert line in result.output
    told = json.loads(run("lint", "bad.yaml", "--json").stdout)
    errors = [finding["line"] for finding in told["findings"] if finding["severity"] == "error"]
    assert (told["ok"], errors) == (False, [3])


def test_warnings_alone_are_exit_code_0_and_do_not_hinder_publishing() -> None:
    text = a_document() + "hedge: {max_share: 0.01}\n"
    assert publish("p.yaml", text).exit_code == 0
    result = run("lint", "p.yaml")
    assert result.exit_code == 0
    assert "warning: no rule allows hedging" in result.output


def test_a_document_with_errors_is_not_published() -> None:
    result = publish("bad.yaml", BAD)
    assert result.exit_code == 1
    assert "[unknown-variant]" in result.output
    assert "Error: bad.yaml is not published: 1 error(s)" in result.output
    assert json.loads(run("list", "--json").stdout) == {"versions": [], "activations": []}
    assert json.loads(publish("bad.yaml", BAD, "--json").stdout)["version"] is None


def test_a_document_published_once_undoes_neither_a_later_one_nor_a_rollback() -> None:
    publish("one.yaml", a_document(epsilon=0.1), "--once")
    assert "version 2" in publish("two.yaml", a_document(epsilon=0.2), "--once").output
    again = publish("one.yaml", None, "--once")
    assert (again.exit_code, again.output) == (0, "one.yaml was in force before: nothing is changed\n")
    run("rollback", "--reason", "two was worse")
    assert "nothing is changed" in publish("two.yaml", None, "--once").output
    assert [version["state"] for version in json.loads(run("list", "--json").stdout)["versions"]] == [
        "published",
        "retired",
    ]


def test_a_database_that_the_environment_does_not_name_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    variant = "{name: a, kind: remote, engine: openai, source: 'http://h/v1', price: {compute_per_hour_usd: 1}}"
    Path("trilemma.yaml").write_text(f"variants: [{variant}]\nstore: {{database_url: 'env:THE_DATABASE'}}\n")
    monkeypatch.delenv("THE_DATABASE", raising=False)
    missing = run("list")
    assert (missing.exit_code, missing.output) == (
        1,
        "Error: store.database_url takes its value from the environment variable THE_DATABASE, which is not set\n",
    )
    monkeypatch.setenv("THE_DATABASE", "sqlite:///named.db")
    assert run("list").exit_code == 0
    assert Path("named.db").exists()


def test_publishing_needs_a_reason() -> None:
    Path("p.yaml").write_text(a_document())
    assert run("publish", "p.yaml").exit_code == 2


def test_versions_are_listed_with_who_when_and_why() -> None:
    first = publish("one.yaml", a_document(epsilon=0.1))
    assert first.output.splitlines()[-1].startswith("p is in force as version 1 (")
    publish("two.yaml", a_document(epsilon=0.2))
    told = json.loads(run("list", "--json").stdout)
    assert [(v["version"], v["state"], v["reason"]) for v in told["versions"]] == [
        (1, "retired", "for one.yaml"),
        (2, "published", "for two.yaml"),
    ]
    assert [(a["version"], a["action"], a["author"]) for a in told["activations"]] == [
        (1, "publish", "ada"),
        (2, "publish", "ada"),
    ]
    table = run("list").output
    assert "for two.yaml" in table
    assert table.index("published") < table.index("retired")


def test_rolling_back_puts_the_version_before_in_force() -> None:
    publish("one.yaml", a_document(epsilon=0.1))
    publish("two.yaml", a_document(epsilon=0.2))
    result = run("rollback", "--reason", "worse", "--author", "bob", "--json")
    assert json.loads(result.stdout)["version"]["version"] == 1
    assert "epsilon: 0.1" in run("show").output
    result = run("rollback", "--reason", "worse")
    assert result.exit_code == 1
    assert "nothing to go back to" in result.output
    assert run("rollback", "2", "--reason", "not worse").exit_code == 0


def test_a_shown_version_can_be_published_again() -> None:
    publish("one.yaml", a_document(epsilon=0.1))
    shown = run("show", "1").output
    assert shown.startswith("# version 1, published, ")
    assert publish("again.yaml", shown).exit_code == 0
    hashes = {version["hash"] for version in json.loads(run("list", "--json").stdout)["versions"]}
    assert len(hashes) == 1
    assert run("show", "9").exit_code == 1


def test_before_anything_is_published_the_configured_policy_is_shown_as_a_document() -> None:
    shown = run("show").output
    assert shown.startswith("# Nothing is published")
    document = decode_document(shown, source_name="shown")
    assert compile_document(document) == policy_from(load_settings())
    Path("p.yaml").write_text(shown)
    assert run("lint", "p.yaml").exit_code == 0
    assert "nothing is published" in run("list").output


def test_files_and_versions_are_compared_in_meaning_and_as_text() -> None:
    publish("one.yaml", a_document(epsilon=0.1))
    Path("two.yaml").write_text(f"# calmer\n{a_document(epsilon=0.05)}")
    lines = run("diff", "1", "two.yaml").output.splitlines()
    assert lines[0] == "exploration.epsilon: 0.1 -> 0.05"
    assert {"--- 1", "+++ two.yaml", "+# calmer"} <= set(lines)
    told = json.loads(run("diff", "1", "two.yaml", "--json").stdout)
    assert [change["path"] for change in told["changes"]] == ["exploration.epsilon"]
    assert run("diff", "1", "one.yaml").output == "nothing changes in meaning\n"
    assert run("diff", "1", "two").exit_code == 2
    assert run("diff", "1", "7").exit_code == 1


def test_a_change_of_the_estimators_used_is_told() -> None:
    publish("one.yaml", a_document())
    Path("two.yaml").write_text(a_document() + "estimators: none\n")
    assert run("diff", "1", "two.yaml").output.splitlines()[0] == "estimators: in force -> none"


def test_a_document_of_version_1_is_printed_as_version_2_and_can_be_published() -> None:
    old = a_document().replace("schema_version: 2", "schema_version: 1")
    publish("one.yaml", old)
    assert "note: schema version 1" in run("lint", "one.yaml").output
    for source in ("one.yaml", "1"):
        result = run("upgrade", source)
        assert (result.exit_code, result.stdout.startswith("schema_version: 2\n")) == (0, True)
        assert "Weights are prices" in result.stderr
    assert Path("one.yaml").read_text() == old
    assert publish("two.yaml", result.stdout).exit_code == 0
    assert "formula: ratio -> linear" in run("diff", "1", "2").output
    again = run("upgrade", "2")
    assert (again.stdout, again.stderr) == (result.stdout, "2 is of schema version 2 already.\n")
    assert json.loads(run("upgrade", "2", "--json").stdout)["changes"] == []


def log_at_even_odds(count: int) -> None:
    """Judged requests in the installation's log, each answered by one of two variants."""
    rows: list[Row] = []
    for number, sample in enumerate(samples(count)):
        decided, *others = rows_of(sample, f"dec_{number:06}")
        rows += [msgspec.structs.replace(decided, propensities={"full": 0.5, "quantized": 0.5}), *others]
    Path("var").mkdir()
    engine = open_engine(sqlite_url(Path("var") / "trilemma.db"))
    upgrade(engine)
    assert insert(engine, rows) == 0
    engine.dispose()


def test_a_policy_is_evaluated_with_the_estimators_it_would_use() -> None:
    log_at_even_odds(200)
    for section, used in (("", "in force"), ("estimators: none\n", "none")):
        Path("p.yaml").write_text(a_document() + section)
        result = run("evaluate", "p.yaml")
        assert result.output.splitlines()[0] == f"estimators: {used}", result.output
        assert json.loads(run("evaluate", "p.yaml", "--json").stdout)["estimators"] == used


def test_a_pinned_estimator_that_is_not_stored_cannot_be_evaluated() -> None:
    log_at_even_odds(30)
    Path("p.yaml").write_text(a_document() + f"estimators: {{answers: {'ab' * 16}}}\n")
    result = run("evaluate", "p.yaml")
    assert result.exit_code == 1
    assert "ab" * 16 in result.output


def test_every_field_is_described_in_the_schema() -> None:
    definitions = json.loads(run("schema").stdout)["$defs"]
    bare = [
        f"{struct}.{name}"
        for struct, definition in definitions.items()
        for name, field in definition.get("properties", {}).items()
        if "description" not in field
    ]
    assert bare == []
