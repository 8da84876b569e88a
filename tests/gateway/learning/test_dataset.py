"""Samples come from the log as they were, and what is damaged or beside the point is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.types import Ending, ObservationSource, Row
from gateway.decisions.write import insert
from gateway.learning import dataset
from gateway.learning.dataset import count_since, read_samples
from policies.features.layout import VERSION
from policies.features.stored import to_stored
from policies.types import CandidateState
from tests.decision_rows import decision, observation, outcome, sqlite_url
from tests.fitted import FEATURES


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = open_engine(sqlite_url(tmp_path / "log.sqlite"))
    upgrade(made)
    return made


def answered(number: int, *, judged: bool = True, **changes: Any) -> list[Row]:
    """A decision with its outcome; changes whose names an outcome has go there."""
    name = f"dec_{number:05}"
    verdict = {"variant": "quantized", "state": "loading", "queued": 2, "running": 1, "starts_in_s": 0.5}
    made = decision(
        name,
        **{
            "created_at_s": float(number),
            "features": to_stored(FEATURES),
            "features_hash": VERSION,
            "candidates": [verdict],
            **{key: value for key, value in changes.items() if hasattr(decision(), key)},
        },
    )
    ended = outcome(name, **{key: value for key, value in changes.items() if not hasattr(decision(), key)})
    return [made, ended, *([observation(name, score=0.25)] if judged else [])]


def samples(engine: Engine, **options: Any) -> list[Any]:
    return read_samples(engine, **({"variants": ["quantized"], "max_rows": 1000} | options))


def test_a_sample_says_what_was_decided_on_and_what_came_of_it(engine: Engine) -> None:
    insert(engine, answered(1, tenant="zoo", max_completion_tokens=64, finish_reason="length"))
    [sample] = samples(engine)
    assert (sample.created_at_s, sample.tenant, sample.variant, sample.propensity) == (1.0, "zoo", "quantized", 1.0)
    assert (sample.state, sample.queued, sample.running, sample.starts_in_s) == (CandidateState.LOADING, 2, 1, 0.5)
    assert (sample.prompt_tokens, sample.max_completion_tokens) == (60, 64)
    assert (sample.completion_tokens, sample.cut) == (64, True)
    assert (sample.ttft_s, sample.tpot_s, sample.latency_s, sample.cost_usd) == (0.1, 0.01, 1.0, 1e-5)
    assert (sample.quality, sample.quality_weight) == (0.25, 1.0)
    assert sample.features.grams.tolist() == FEATURES.grams.tolist()
    assert sample.features.groups.tolist() == FEATURES.groups.tolist()


def test_times_of_an_answer_that_took_two_attempts_are_not_its_variants(engine: Engine) -> None:
    tries = [{"variant": "full", "propensity": 0.9}, {"variant": "quantized", "propensity": 0.1}]
    insert(engine, answered(1, attempts=tries))
    [sample] = samples(engine)
    assert (sample.ttft_s, sample.tpot_s, sample.latency_s) == (None, None, None)
    assert (sample.propensity, sample.completion_tokens, sample.quality) == (0.1, 64, 0.25)


@pytest.mark.parametrize("variant", ["full", "quantized"], ids=["escalated", "passed on"])
def test_what_a_cascade_held_back_teaches_neither_times_nor_quality(engine: Engine, variant: str) -> None:
    held = {"variant": variant, "propensity": 1.0, "held": "good_enough"}
    last = [] if variant == "quantized" else [{"variant": "quantized", "propensity": 1.0}]
    insert(engine, answered(1, attempts=[held, *last]))
    [sample] = samples(engine)
    assert (sample.ttft_s, sample.tpot_s, sample.latency_s) == (None, None, None)
    assert (sample.quality, sample.quality_weight) == (None, 0.0)
    assert sample.completion_tokens == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"ending": Ending.FAILED},
        {"ending": Ending.CANCELLED},
        {"error_type": "overloaded"},
        {"cache": "exact"},
        {"variant": "gone"},
        {"candidates": [{"variant": "full", "state": "warm"}]},
        {"candidates": [{"variant": "quantized", "state": "asleep"}]},
        {"attempts": [{"variant": 3}]},
    ],
)
def test_what_teaches_nothing_is_passed_over(engine: Engine, changes: dict[str, Any]) -> None:
    insert(engine, [*answered(1, **changes), *answered(2)])
    assert [sample.created_at_s for sample in samples(engine)] == [2.0]


@pytest.mark.parametrize("changes", [{"features": None}, {"features_hash": "another"}, {"features": {"grams": "?"}}])
def test_without_readable_features_the_times_still_teach(engine: Engine, changes: dict[str, Any]) -> None:
    insert(engine, answered(1, **changes))
    [sample] = samples(engine)
    assert (sample.features, sample.quality, sample.latency_s) == (None, None, 1.0)


def test_the_newest_are_read_and_come_oldest_first(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "PAGE_ROWS", 7)
    insert(engine, [row for number in range(40) for row in answered(number)])
    read: list[int] = []
    found = samples(engine, max_rows=25, on_read=read.append)
    assert [sample.created_at_s for sample in found] == [float(number) for number in range(15, 40)]
    assert read == [7, 14, 21, 25]
    assert [s.created_at_s for s in samples(engine, since_s=38.0)] == [38.0, 39.0]


def test_decisions_of_one_moment_are_neither_lost_nor_repeated_between_pages(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "PAGE_ROWS", 7)
    insert(engine, [row for number in range(30) for row in answered(number, created_at_s=5.0)])
    assert len(samples(engine)) == 30


def test_texts_are_kept_only_where_they_are_learned_from_and_only_so_many(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset, "MAX_GRAMS", 2 * len(FEATURES.grams))
    insert(engine, [row for number in range(4) for row in answered(number, judged=number != 2)])
    found = samples(engine)
    kept = [(len(sample.features.grams) > 0, sample.quality is not None) for sample in found]
    assert kept == [(False, False), (True, True), (False, False), (True, True)]
    assert all(len(sample.features.groups) for sample in found)


def test_several_judgements_make_one_label(engine: Engine) -> None:
    source = {"source": ObservationSource.CHECK, "name": "exact"}
    insert(engine, [*answered(1), observation("dec_00001", number=2, score=0.75, **source)])
    [sample] = samples(engine)
    assert (sample.quality, sample.quality_weight) == (0.5, 2.0)


def test_only_what_came_later_counts_as_new(engine: Engine) -> None:
    insert(engine, [row for number in range(5) for row in answered(number)])
    insert(engine, answered(9, ending=Ending.FAILED))
    assert (count_since(engine, None), count_since(engine, 3.0)) == (5, 1)
