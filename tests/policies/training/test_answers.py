"""Fits of the answers' model: promoted where they are better on later answers, and never where they are worse."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from policies.learner.basis import Block
from policies.learner.fit import QUALITY_PRIOR, Fit, first_fit
from policies.samples import Sample
from policies.training.answers import counted, fit_answers, held_against, refitted_answers
from policies.training.basis import fit_basis
from policies.types import Profile
from tests.learner_worlds import answer, answers
from tests.policy_strategies import request
from tests.quality_worlds import NAMES, world

PROFILES = {name: Profile(quality=0.5, ttft_s=0.1, tpot_s=0.01, source="prior") for name in NAMES}
LEARNABLE, PLAIN = world(700, seed=0), world(60, seed=1)


def judged(count: int, *, seed: int = 0) -> list[Sample]:
    """One answer to each request of a world whose words decide which variant is good."""
    rng = np.random.default_rng(seed)
    made = []
    for number, (features, truth) in enumerate(zip(LEARNABLE.features[:count], LEARNABLE.truth, strict=False)):
        place = int(rng.integers(3))
        quality = float(rng.random() < truth[place])
        made.append(answer(number, variant=NAMES[place], features=features, quality=quality, propensity=1.0 / 3.0))
    return made


def blind() -> Fit:
    """Sees nothing of a request that matters: its texts are of another kind altogether."""
    return Fit(basis=fit_basis([answer(0).features, answer(1).features], directions=0))  # type: ignore[list-item]


def test_a_fit_that_reads_texts_is_promoted_where_texts_decide() -> None:
    rows = judged(300)
    fit, verdict = refitted_answers(rows, first_fit(), profiles=PROFILES)
    assert fit.basis.text_size == 64
    assert verdict.promoted, verdict.because
    assert verdict.rows == 90
    assert verdict.because.startswith("On 90 later answers it gains ")
    error, value, over_fixed = verdict.comparisons
    assert error.better
    assert not value.worse
    assert not over_fixed.worse


def test_a_fit_that_sees_less_is_not_promoted() -> None:
    rows = judged(300)
    fit = fit_answers(rows, start=first_fit())
    verdict = held_against(rows, blind(), fit, profiles=PROFILES)
    assert not verdict.promoted
    assert "worse" in verdict.because


def test_a_fit_is_no_better_than_itself() -> None:
    rows = judged(300)
    fit = fit_answers(rows, start=first_fit())
    verdict = held_against(rows, fit, fit, profiles=PROFILES)
    assert not verdict.promoted
    assert "no better" in verdict.because
    assert [c.gain for c in verdict.comparisons[:2]] == [0.0, 0.0]


@pytest.mark.parametrize("count", [0, 1, 5, 9])
def test_too_few_judged_answers_promote_nothing(count: int) -> None:
    rows = judged(max(count, 1))[:count] or [msgspec.structs.replace(answer(0), quality=None)]
    _, verdict = refitted_answers(rows, first_fit(), profiles=PROFILES)
    assert not verdict.promoted
    assert "too few" in verdict.because


def test_answers_without_features_promote_nothing() -> None:
    fit, verdict = refitted_answers([answer(0, features=None)], before := first_fit(), profiles=PROFILES)
    assert fit is before
    assert not verdict.promoted
    assert verdict.because == "No request of the log has features to learn from."


def test_judgements_that_say_nothing_are_passed_over() -> None:
    rows = judged(200)
    spoiled = [
        *rows[:150],
        *(msgspec.structs.replace(s, quality=np.nan) for s in rows[150:160]),
        *(msgspec.structs.replace(s, quality=7.0, quality_weight=5.0) for s in rows[160:170]),
        *(msgspec.structs.replace(s, quality_weight=0.0) for s in rows[170:]),
    ]
    _, verdict = refitted_answers(spoiled, first_fit(), profiles=PROFILES)
    assert verdict.rows == 48
    assert all(np.isfinite([c.gain, c.gain_se]).all() for c in verdict.comparisons)


def test_a_variant_that_appears_in_the_later_part_only_is_no_obstacle() -> None:
    rows = judged(100)
    rows[-1] = msgspec.structs.replace(rows[-1], variant="new")
    assert refitted_answers(rows, first_fit(), profiles={})[1].rows == 30


def test_the_variances_follow_what_tells_variants_apart() -> None:
    """Where the text decides, its own variance grows beyond what was assumed; where nothing does, it shrinks."""
    found = fit_answers(judged(700), start=first_fit())
    noise = fit_answers(answers(700, seed=0, good=(0.5, 0.5, 0.5), features=LEARNABLE.features), start=first_fit())
    assert found.quality is not None
    assert noise.quality is not None
    ratio = [float(fit.quality.own[Block.TEXT]) / QUALITY_PRIOR.own[Block.TEXT] for fit in (found, noise)]
    assert ratio[0] > 1.5 * ratio[1]
    assert found.length is not None


def test_a_later_fit_begins_where_the_one_before_ended() -> None:
    rows = judged(200)
    first = fit_answers(rows, start=first_fit())
    again = fit_answers(rows, start=first)
    assert first.quality is not None
    assert again.quality is not None
    np.testing.assert_allclose(again.quality.own, first.quality.own, rtol=0.5)


def test_a_counted_learner_predicts_for_every_tenant_and_variant() -> None:
    rows = [msgspec.structs.replace(s, tenant=f"t{n % 20}") for n, s in enumerate(judged(400))]
    learner = counted(fit_answers(rows, start=first_fit()), rows, profiles=PROFILES)
    assert set(learner.variants) == set(NAMES)
    for tenant in ("t0", "stranger"):
        found = learner.qualities(tenant, LEARNABLE.features[0])
        assert np.isfinite(found).all()
    assert learner.estimate(request(), []) == ()


def test_nothing_at_all_counts_as_nothing() -> None:
    assert counted(first_fit(), [], profiles={}).variants == ()
    assert counted(first_fit(), [], profiles=PROFILES).judged == 0
