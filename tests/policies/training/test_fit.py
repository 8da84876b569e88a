"""A whole training: what is better is kept, what is not is left out, and nothing in force is replaced by worse."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from policies.estimators.artifact import decode, encode
from policies.estimators.learned import composed
from policies.features.layout import VERSION
from policies.training.dataset import Dataset, Sample
from policies.training.fit import Trained, train
from policies.training.gate import compare, restricted
from policies.training.report import lines_of, markdown
from policies.training.split import by_time
from policies.types import Candidate
from tests.policy_strategies import request
from tests.training_rows import CANDIDATES, EASY, HARD, samples


@pytest.fixture(scope="module")
def trained() -> Trained:
    """On a world in which everything can be learned."""
    return train(Dataset.of(samples(2400, tenants=["zoo", "bank"])), candidates=CANDIDATES)


def as_the_card_says(count: int) -> list[Sample]:
    """A world that the cards describe exactly, apart from noise."""
    noise = np.random.default_rng(3)
    rows = samples(count, slowness=1.0, noise=0.0, seed=4)
    return [msgspec.structs.replace(row, completion_tokens=60, quality=float(noise.random() < 0.6)) for row in rows]


def test_where_there_is_something_to_learn_every_estimator_is_kept(trained: Trained) -> None:
    assert {kind: a.variants for kind, a in trained.artifacts.items()} == dict.fromkeys(
        ("length", "latency", "quality"), ("full", "quantized")
    )


def test_what_was_learned_serves_after_it_was_stored(trained: Trained) -> None:
    stored = {k: decode(encode(a), kind=k, layout=VERSION) for k, a in trained.artifacts.items()}
    candidates: list[Candidate] = list(CANDIDATES.values())
    hard, easy = (composed(stored).estimate(request(features=f), candidates) for f in (HARD, EASY))
    assert [e.completion_tokens for e in hard] == pytest.approx([210.0, 210.0], rel=0.15)
    assert hard[0].quality > hard[1].quality + 0.4, "only the full one answers hard prompts well"
    assert easy[0].quality == pytest.approx(easy[1].quality, abs=0.15)
    assert all(e.latency_high_s > e.latency_s for e in hard + easy)


def test_a_world_as_the_cards_say_gives_no_reason_to_leave_them() -> None:
    found = train(Dataset.of(as_the_card_says(900)), candidates=CANDIDATES)
    assert "quality" not in found.artifacts, "noise is not learned"
    worse = [c for c in found.comparisons if c.gain < -0.5]
    assert worse == []


def test_what_is_in_force_stays_unless_the_new_fit_is_better() -> None:
    rows = Dataset.of(samples(2400))
    good = train(rows, candidates=CANDIDATES).artifacts
    again = train(Dataset.of(samples(150, seed=8)), candidates=CANDIDATES, in_force=good)
    assert "length" not in again.artifacts, "a hundred rows are no match for two thousand"
    assert {line.target for line in again.lines if "in force" in line.scores} >= {"quality", "length", "latency"}


def test_the_same_rows_give_the_same_bytes(trained: Trained) -> None:
    again = train(Dataset.of(samples(2400, tenants=["zoo", "bank"])), candidates=CANDIDATES)
    assert {k: encode(a) for k, a in again.artifacts.items()} == {k: encode(a) for k, a in trained.artifacts.items()}


def test_rows_without_features_or_judgements_still_teach_times() -> None:
    rows = [msgspec.structs.replace(s, features=None, quality=None, quality_weight=0.0) for s in samples(600)]
    assert list(train(Dataset.of(rows), candidates=CANDIDATES).artifacts) == ["latency"]


def test_a_variant_that_is_left_out_is_gone_from_every_array(trained: Trained) -> None:
    for kind, artifact in trained.artifacts.items():
        less = restricted(artifact, {"quantized"})
        assert less is not None
        assert decode(encode(less), kind=kind, layout=VERSION).variants == ("quantized",)
        one, both = composed({kind: less}), composed({kind: artifact})
        asked, mine = request(features=HARD), [CANDIDATES["quantized"]]
        assert one.estimate(asked, mine)[0].latency_s == pytest.approx(both.estimate(asked, mine)[0].latency_s)
    assert restricted(artifact, {"stranger"}) is None


@pytest.mark.parametrize("judged", [slice(0, 400), slice(2000, 2400)])
def test_quality_is_learned_also_where_judging_ended_early_or_began_late(judged: slice) -> None:
    rows = samples(2400)
    bare = [msgspec.structs.replace(row, quality=None, quality_weight=0.0) for row in rows]
    bare[judged] = rows[judged]
    assert "quality" in train(Dataset.of(bare), candidates=CANDIDATES).artifacts


def test_a_gain_within_its_error_is_none() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(400)
    assert not compare("quality", "a", before=before, after=before + rng.normal(0.02, 0.3, 400)).better
    assert compare("quality", "a", before=before, after=before * 0.9).better
    assert not compare("quality", "a", before=before[:5], after=before[:5] * 0.1).better, "five rows say nothing"


def test_a_variant_of_too_few_rows_to_tell_stays_with_its_card() -> None:
    few = samples(20, variants=["quantized"], seed=5)
    found = train(Dataset.of(samples(900, variants=["full"]) + few), candidates=CANDIDATES)
    assert {artifact.variants for artifact in found.artifacts.values()} == {("full",)}


def test_a_variant_that_gets_worse_is_left_out_and_one_that_gains_little_is_not() -> None:
    before = np.full(200, 0.5)
    assert not compare("quality", "a", before=before, after=before * 1.2).tolerable
    little = compare("quality", "a", before=before, after=before + np.tile([0.1, -0.1], 100))
    assert (little.tolerable, little.better) == (True, False)


def test_no_row_is_judged_by_a_later_one_of_its_variant() -> None:
    rows = Dataset.of([*samples(200), *samples(20, variants=["full"], seed=2)])
    split = by_time(rows.created_at_s, strata=rows.variant)
    assert sorted(np.concatenate(split).tolist()) == list(range(220))
    for name in ("full", "quantized"):
        times = [rows.created_at_s[part[rows.variant[part] == name]] for part in split]
        assert times[0].max() <= times[1].min()
        assert times[1].max() <= times[2].min()


def test_the_report_reads_well_and_survives_json(trained: Trained) -> None:
    found = lines_of(msgspec.json.decode(msgspec.json.encode(trained.lines)))
    assert found == trained.lines
    text = markdown(found)
    assert {"quality", "length", "ttft", "latency"} == {line.target for line in found}
    assert "| tenant bank |" in text
    fitted, card = (
        next(line for line in found if (line.target, line.group) == ("latency", "all")).scores[who]
        for who in ("fitted", "card")
    )
    assert fitted["pinball_50"] < card["pinball_50"]
    assert fitted["coverage_high"] == pytest.approx(0.95, abs=0.04)
