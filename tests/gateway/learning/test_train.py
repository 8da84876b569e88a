"""`trilemma train` on a real log: what it leaves behind, when it does nothing, and that what it learned serves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.decisions.schema import open_engine
from gateway.learning.draft import with_learned
from gateway.learning.estimators import ActiveEstimator
from gateway.learning.reports import last_report
from gateway.learning.store import EstimatorStore
from gateway.paths import StatePaths
from gateway.policyops.active import ActivePolicy
from gateway.policyops.store import PolicyStore
from gateway.policyops.types import State
from gateway.policyops.watcher import compile_version
from policies.documents.schema import decode_document
from policies.documents.stored import decode_stored
from tests.policy_strategies import candidate, request
from tests.training_log import log_samples
from tests.training_rows import HARD, samples

VARIANT = (
    "{name: NAME, kind: remote, engine: openai, source: 'http://127.0.0.1:9', quality: 0.6, ttft_s: 0.2, tpot_s: 0.02"
)
CONFIG = f"""
variants:
  - {VARIANT.replace("NAME", "full")}, price: {{compute_per_hour_usd: 1}}}}
  - {VARIANT.replace("NAME", "quantized")}, price: {{compute_per_hour_usd: 1}}}}
training: {{min_rows: 100}}
"""

DOCUMENT = """\
# Of the platform team.
schema_version: 1
name: ours
estimators:
  quality: '00000000000000000000000000000000'

fallback: [full, quantized]
exploration: {epsilon: 0.125}  # More than usual.
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StatePaths:
    """An installation of two variants, in the current directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trilemma.yaml").write_text(CONFIG)
    (tmp_path / "var").mkdir()
    return StatePaths(root=tmp_path / "var")


def train(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments])


@contextmanager
def versions(paths: StatePaths) -> Iterator[PolicyStore]:
    engine = open_engine(f"sqlite:///{paths.root / 'trilemma.db'}")
    yield PolicyStore(engine)
    engine.dispose()


def test_an_empty_log_is_exit_code_1_and_says_what_to_do(paths: StatePaths) -> None:
    result = train()
    assert result.exit_code == 1
    assert "0 answered requests" in result.output
    assert "trilemma calibrate" in result.output
    assert list(paths.root.glob("estimators/*")) == []


def test_a_training_leaves_estimators_a_report_and_a_draft(paths: StatePaths) -> None:
    log_samples(paths.root, samples(600))
    result = train("--out", "draft.yaml")
    assert result.exit_code == 0, result.output
    report = last_report(paths.reports)
    assert report is not None
    assert (report.rows, report.judged_rows) == (600, 600)
    assert set(report.estimators) == {"quality", "length", "latency"}
    with versions(paths) as store:
        assert EstimatorStore(store._engine).names() == set(report.estimators.values())
    assert decode_document(Path("draft.yaml").read_text(), source_name="draft").estimators == report.estimators
    assert "| latency | full |" in result.output
    with versions(paths) as store:
        assert [v.state for v in store.versions()] == [State.DRAFT]
        assert store.active() is None


async def test_what_was_learned_and_published_decides(paths: StatePaths) -> None:
    log_samples(paths.root, samples(600))
    assert train("--publish").exit_code == 0
    with versions(paths) as store:
        version = store.active()
    assert version is not None
    assert version.author == "trainer"
    with versions(paths) as store:
        active = ActiveEstimator(ActivePolicy(compile_version(version)), store._engine)
        await active.refresh()
    assert set(active.stats.in_force) == {"quality", "length", "latency"}
    full, quantized = active.current.estimate(request(features=HARD), [candidate("full"), candidate("quantized")])
    assert full.quality > quantized.quality + 0.3
    assert full.completion_tokens == pytest.approx(200.0, rel=0.2)


def test_the_same_log_again_replaces_nothing(paths: StatePaths) -> None:
    log_samples(paths.root, samples(600))
    assert train("--publish").exit_code == 0
    again = train("--publish", "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["version"] is None, "a fit is not better than itself"
    with versions(paths) as store:
        assert len(store.versions()) == 1


def test_nothing_but_the_estimators_changes_in_the_policy_in_force(paths: StatePaths) -> None:
    log_samples(paths.root, samples(600))
    with versions(paths) as store:
        store.publish(name="ours", hash_="x", text=DOCUMENT, author="a", reason="r", now_s=1.0)
    result = train("--publish")
    assert result.exit_code == 0, result.output
    with versions(paths) as store:
        text = store.active().text  # type: ignore[union-attr]
    before, after = (decode_stored(each, source_name="") for each in (DOCUMENT, text))
    assert msgspec.structs.replace(after, estimators=before.estimators) == before
    assert set(after.estimators) == {"quality", "length", "latency"}
    assert "# More than usual." in text


def test_a_draft_that_the_lint_refuses_is_kept_and_its_faults_are_told(paths: StatePaths) -> None:
    log_samples(paths.root, samples(600))
    with versions(paths) as store:
        text = DOCUMENT.replace("fallback: [full, quantized]", "")
        store.publish(name="ours", hash_="x", text=text, author="a", reason="r", now_s=1.0)
    result = train("--publish")
    assert result.exit_code == 1
    assert "no-fallback" in result.output
    with versions(paths) as store:
        assert [version.state for version in store.versions()] == [State.PUBLISHED, State.DRAFT]


def test_on_schedule_it_waits_until_enough_is_new(paths: StatePaths) -> None:
    log_samples(paths.root, samples(99))
    assert "nothing is due" in train("--if-due").output
    log_samples(paths.root, samples(600), prefix="more")
    assert "Policy version 1" in train("--if-due").output
    assert "nothing is due" in train("--if-due").output


@pytest.mark.parametrize(
    "text",
    [
        "schema_version: 1\nname: a\n",
        "schema_version: 1\nname: a\nestimators: {quality: aa}\nfallback: [b]\n",
        "estimators:\n    quality: aa\n# A comment between.\nname: a\nschema_version: 1",
        '{"schema_version": 1, "name": "a", "estimators": {"length": "bb"}}',
    ],
)
def test_new_estimators_fit_into_any_document(text: str) -> None:
    edited = with_learned(text, {"latency": "cc", "quality": "dd"})
    before, after = (decode_document(each, source_name="") for each in (text, edited))
    assert after == msgspec.structs.replace(before, estimators={"latency": "cc", "quality": "dd"})
    assert text.count("#") == edited.count("#")
