"""A whole training: what is better takes the place of what is in force, what is not says why."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from policies.estimators.artifact import Artifact, decode, encode
from policies.estimators.latency import LatencyModel
from policies.features.layout import VERSION
from policies.learner.fit import Fit, first_fit
from policies.samples import Sample
from policies.training.answers import counted
from policies.training.dataset import Dataset
from policies.training.fit import KINDS, STAGES, Trained, train
from policies.training.report import markdown
from policies.training.split import by_time
from tests.policy_strategies import request
from tests.quality_worlds import world
from tests.training_rows import CANDIDATES, HARD, samples

PROFILES = {name: candidate.profile for name, candidate in CANDIDATES.items()}
HERE = world(400, seed=0)


def told_apart(count: int = 400, *, seed: int = 0) -> list[Sample]:
    """Answers of a world whose words and tenants say which variant is good: there is a basis to be learned."""
    rng = np.random.default_rng(seed)
    made = []
    for number, sample in enumerate(samples(count, seed=seed)):
        place = ("full", "quantized").index(sample.variant) * 2
        row = number % len(HERE.features)
        quality = float(rng.random() < HERE.truth[row, place])
        made.append(msgspec.structs.replace(sample, features=HERE.features[row], quality=quality))
    return made


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train(told_apart(), candidates=CANDIDATES, in_force={})


def test_what_is_better_is_promoted_and_every_kind_says_why(trained: Trained) -> None:
    assert tuple(trained.promoted) == tuple(trained.because) == KINDS
    assert trained.promoted == {kind: kind in trained.artifacts for kind in KINDS}
    assert trained.promoted["latency"]
    assert all(sentence.startswith("On ") and sentence.endswith(".") for sentence in trained.because.values())
    assert {(c.kind, c.figure) for c in trained.comparisons} == {
        ("answers", "squared error"),
        ("answers", "decision value"),
        ("answers", "value over the best fixed variant"),
        ("latency", "loss"),
    }


def test_what_was_learned_serves_after_it_was_stored(trained: Trained) -> None:
    stored = {k: decode(encode(a), kind=k, layout=VERSION) for k, a in trained.artifacts.items()}
    fit = Fit.from_artifact(stored["answers"]) if "answers" in stored else first_fit()
    learner = counted(fit, samples(600), profiles=PROFILES)
    learner.latency = LatencyModel.from_artifact(stored["latency"])
    full, quantized = learner.estimate(request(features=HARD), list(CANDIDATES.values()))
    assert full.quality > quantized.quality + 0.3
    assert full.completion_tokens == pytest.approx(210.0, rel=0.2)
    assert all(e.latency_high_s > e.latency_s for e in (full, quantized))


def test_times_that_passed_are_fitted_again_on_all_rows(trained: Trained) -> None:
    artifact = trained.artifacts["latency"]
    assert artifact.facts["rows"] == 400
    assert artifact.variants == ("full", "quantized")
    model = LatencyModel.from_artifact(artifact)
    assert model.stretch[:2].tolist() != [1.0, 1.0], "the calibration of the test stays"


def test_what_is_in_force_stays_unless_the_new_fit_is_better(trained: Trained) -> None:
    again = train(told_apart(), candidates=CANDIDATES, in_force=trained.artifacts)
    assert not again.promoted["latency"], "a fit is not better than itself"
    assert again.because["latency"].endswith(", which is not enough.")
    assert "latency" not in again.artifacts
    assert {line.target for line in again.lines if "in force" in line.scores} >= {"quality", "length", "latency"}


def test_a_world_as_the_cards_say_gives_no_reason_to_leave_them() -> None:
    noise = np.random.default_rng(3)
    rows = [
        msgspec.structs.replace(row, completion_tokens=60, quality=float(noise.random() < 0.6))
        for row in samples(500, slowness=1.0, noise=0.0, seed=4)
    ]
    found = train(rows, candidates=CANDIDATES, in_force={})
    assert all(c.gain > -0.1 for c in found.comparisons if c.kind == "answers"), "noise is hardly learned"


def test_the_same_samples_give_the_same_bytes(trained: Trained) -> None:
    again = train(told_apart(), candidates=CANDIDATES, in_force={})
    assert {k: encode(a) for k, a in again.artifacts.items()} == {k: encode(a) for k, a in trained.artifacts.items()}
    assert again.because == trained.because


def test_samples_without_features_or_judgements_still_teach_times() -> None:
    bare = [msgspec.structs.replace(s, features=None, quality=None, quality_weight=0.0) for s in samples(300)]
    found = train(bare, candidates=CANDIDATES, in_force={})
    assert found.promoted == {"answers": False, "latency": True}
    assert "no request of the log has features" in found.because["answers"].lower()


def test_samples_without_times_still_teach_answers() -> None:
    timeless = [msgspec.structs.replace(s, ttft_s=None, tpot_s=None, latency_s=None) for s in told_apart(200)]
    found = train(timeless, candidates=CANDIDATES, in_force={})
    assert not found.promoted["latency"]
    assert "too few answers whose times are known" in found.because["latency"]
    assert {c.kind for c in found.comparisons} == {"answers"}


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_a_handful_of_samples_is_too_few_to_promote_anything(count: int) -> None:
    found = train(samples(count), candidates=CANDIDATES, in_force={})
    assert not found.promoted["answers"]
    assert all(found.because.values())


def test_a_variant_that_was_hardly_ever_chosen_is_covered_and_drawn_to_the_others() -> None:
    rare = [msgspec.structs.replace(s, created_at_s=s.created_at_s + 0.5) for s in samples(6, variants=["quantized"])]
    many = samples(500, variants=["full"])
    rows = sorted([*many, *rare], key=lambda s: s.created_at_s)
    artifact = train(rows, candidates=CANDIDATES, in_force={}).artifacts["latency"]
    assert artifact.variants == ("full", "quantized")
    ttft = artifact.arrays["ttft"]
    assert ttft[0, 2, 1] == pytest.approx(ttft[0, 2, 0], rel=0.3), "six rows say little against five hundred"


def test_artifacts_that_cannot_be_used_count_as_missing() -> None:
    broken = {kind: Artifact(kind=kind, layout=VERSION, variants=("full",), arrays={}, facts={}) for kind in KINDS}
    rows = samples(150)
    assert train(rows, candidates=CANDIDATES, in_force=broken).because == (
        train(rows, candidates=CANDIDATES, in_force={}).because
    )


def test_every_stage_is_told_of_once() -> None:
    told: list[str] = []
    train(samples(60), candidates=CANDIDATES, in_force={}, on_stage=told.append)
    assert tuple(told) == STAGES


def test_no_row_is_judged_by_a_later_one_of_its_variant() -> None:
    rows = Dataset.of([*samples(200), *samples(20, variants=["full"], seed=2)])
    split = by_time(rows.created_at_s, strata=rows.variant)
    assert sorted(np.concatenate(split).tolist()) == list(range(220))
    for name in ("full", "quantized"):
        times = [rows.created_at_s[part[rows.variant[part] == name]] for part in split]
        assert times[0].max() <= times[1].min()
        assert times[1].max() <= times[2].min()


def test_the_lines_read_well_and_say_who_predicted_what() -> None:
    found = train(samples(600, tenants=["zoo", "bank"]), candidates=CANDIDATES, in_force={})
    text = markdown(msgspec.json.decode(msgspec.json.encode(found.lines), type=list[type(found.lines[0])]))
    assert {"quality", "length", "ttft", "latency"} == {line.target for line in found.lines}
    assert "| tenant bank |" in text
    fitted, card = (
        next(line for line in found.lines if (line.target, line.group) == ("latency", "all")).scores[who]
        for who in ("fitted", "card")
    )
    assert fitted["pinball_50"] < card["pinball_50"]
    assert fitted["coverage_high"] == pytest.approx(0.95, abs=0.06)
