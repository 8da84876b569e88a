"""Learning from one record at a time: quick where the world changed, quiet where it did not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.estimators.quality import LEAST, OnlineQuality
from policies.features.extract import extract
from policies.features.types import Prompt
from policies.training.quality import fit_quality
from tests.quality_worlds import NAMES, World, world

HERE = world(1500, seed=0)
MODEL = fit_quality(HERE.features, HERE.judged(seed=1), variants=NAMES)


def learned(truth: np.ndarray, there: World, *, seed: int, variant: int, quality: OnlineQuality) -> OnlineQuality:
    rng = np.random.default_rng(seed)
    for features, value in zip(there.features, truth[:, variant], strict=True):
        quality.update(features, NAMES[variant], float(rng.random() < value))
    return quality


def errors(quality: OnlineQuality, there: World, truth: np.ndarray, *, variant: int) -> float:
    predicted = [quality.predict(f, names=NAMES)[0][variant] for f in there.features]
    return float(np.sqrt(np.mean((np.array(predicted) - truth[:, variant]) ** 2)))


def test_a_halved_quality_is_followed_within_two_hundred_records() -> None:
    after, later = world(200, seed=2), world(300, seed=3)
    quality = OnlineQuality(MODEL)
    before = errors(quality, later, later.truth / 2, variant=0)
    learned(after.truth / 2, after, seed=4, variant=0, quality=quality)
    assert quality.alerts >= 1
    assert errors(quality, later, later.truth / 2, variant=0) < before / 4


def test_without_any_change_nothing_is_unlearned() -> None:
    more, later = world(2000, seed=5), world(300, seed=3)
    quality = learned(more.truth, more, seed=6, variant=1, quality=OnlineQuality(MODEL))
    assert quality.alerts == 0
    assert errors(quality, later, later.truth, variant=1) < 1.1 * errors(
        OnlineQuality(MODEL), later, later.truth, variant=1
    )


def test_what_one_variant_does_says_nothing_of_the_others() -> None:
    quality = OnlineQuality(MODEL)
    question = extract(Prompt(text="add the numbers"))
    before, _ = quality.predict(question, names=NAMES)
    for _ in range(50):
        quality.update(question, "full", 0.0)
    after, _ = quality.predict(question, names=NAMES)
    assert after[0] < before[0] - 0.2
    assert (after[1:] == before[1:]).all()


def test_a_new_tenant_is_told_apart_from_the_others() -> None:
    def asks(tenant: str) -> float:
        prompt = Prompt(text="write verses about rivers", tenant=tenant)
        return float(quality.predict(extract(prompt), names=["full"])[0][0])

    quality = OnlineQuality(MODEL)
    gap = asks("acme") - asks("newcomer")
    for i in range(300):
        tenant, score = ("newcomer", 0.0) if i % 3 == 0 else ("acme", 0.8)
        quality.update(extract(Prompt(text="write verses about rivers", tenant=tenant)), "full", score)
    assert asks("acme") - asks("newcomer") > gap + 0.2


def test_a_hot_added_variant_starts_as_its_parent_and_learns_faster() -> None:
    quality = OnlineQuality(MODEL)
    quality.add("trial", parent="full")
    question = extract(Prompt(text="add the numbers"))
    (parent, child), (parent_se, child_se) = quality.predict(question, names=["full", "trial"])
    assert child == parent
    assert child_se > parent_se
    for _ in range(20):
        quality.update(question, "trial", 0.0)
        quality.update(question, "full", 0.0)
    parent, child = quality.predict(question, names=["full", "trial"])[0]
    assert child < parent


def test_a_removed_variant_leaves_the_others_as_they_were() -> None:
    quality = OnlineQuality(MODEL)
    question = extract(Prompt(text="fix this function"))
    quality.update(question, "distilled", 1.0)
    before, _ = quality.predict(question, names=["full", "distilled"])
    quality.remove("quantized")
    after, _ = quality.predict(question, names=["full", "distilled"])
    assert quality.names == ("full", "distilled")
    assert (after == before).all()


def test_the_standard_error_shrinks_with_every_record() -> None:
    quality = OnlineQuality(MODEL)
    quality.add("trial", parent="full")
    question = extract(Prompt(text="add the numbers"))
    last = math.inf
    for _ in range(10):
        se = float(quality.predict(question, names=["trial"])[1][0])
        assert se < last
        last = se
        quality.update(question, "trial", 1.0)


@given(
    st.lists(
        st.tuples(
            st.text(max_size=30), st.sampled_from((*NAMES, "unknown")), st.floats(), st.floats(width=32), st.text()
        ),
        max_size=30,
    )
)
def test_whatever_is_learned_predictions_stay_probabilities(
    records: list[tuple[str, str, float, float, str]],
) -> None:
    quality = OnlineQuality(MODEL)
    for text, variant, score, weight, tenant in records:
        quality.update(extract(Prompt(text=text, tenant=tenant)), variant, score, weight=weight)
    predicted, se = quality.predict(extract(Prompt(text="anything")), names=NAMES)
    assert ((predicted >= LEAST) & (predicted <= 1 - LEAST)).all()
    assert (np.isfinite(se) & (se >= 0)).all()


@pytest.mark.parametrize("parent", ["", "unknown"])
def test_an_unknown_parent_is_refused(parent: str) -> None:
    with pytest.raises(KeyError):
        OnlineQuality(MODEL).add("trial", parent=parent)
