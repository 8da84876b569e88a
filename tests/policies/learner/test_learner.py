"""The learner: every judged answer moves every prediction that it bears on, and nothing is counted twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.belief import of_estimates
from policies.estimators.base import is_sound
from policies.estimators.latency import LatencyModel
from policies.features.extract import extract
from policies.features.types import Features, Prompt
from policies.learner.fit import Fit
from policies.learner.known import GUESSED_SD, STATED_SD
from policies.learner.learner import REMEMBERED, UNJUDGED, Learner
from policies.learner.model import ANYONE, MOST_TENANTS
from policies.learner.posterior import Variances, solve
from policies.samples import Sample
from policies.training.basis import fit_basis
from policies.types import Candidate, RoutingRequest
from tests.fitted import latency_artifact
from tests.learner_worlds import QUESTION, answer, answers, candidates, levels
from tests.policies.learner.test_basis import any_features
from tests.policies.learner.test_model import same_sums
from tests.policy_strategies import candidate_sets, request, requests
from tests.quality_worlds import NAMES, world

POEM = extract(Prompt(text="Write verses about rivers.", tenant="bank"))
NOTHING = extract(Prompt(text=""))
TWO = candidates("full", "tiny")


def learned(samples: Sequence[Sample], *, one_by_one: bool = True) -> Learner:
    learner = Learner()
    learner.introduce({c.name: c.profile for c in TWO})
    if one_by_one:
        for sample in samples:
            learner.absorb(sample)
    else:
        learner.absorb_all(samples)
    return renewed(learner)


def renewed(learner: Learner) -> Learner:
    for job in learner.jobs("default", anyhow=True):
        learner.take(job, solve(job.problem))
    return learner


def qualities(learner: Learner, features: Features = QUESTION, of: Sequence[Candidate] = TWO) -> list[float]:
    return [e.quality for e in learner.estimate(request(features=features), of)]


def same(one: Learner, other: Learner, *, rel: float = 1e-4) -> None:
    assert (one.judged, one.answered) == (other.judged, other.answered)
    for a, b in zip(*(of.estimate(request(features=QUESTION), TWO) for of in (one, other)), strict=True):
        assert msgspec.structs.astuple(a) == pytest.approx(msgspec.structs.astuple(b), rel=rel)


# --- counting


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_the_order_of_answers_does_not_matter(seed: int) -> None:
    some = answers(20, seed=seed, good=(0.6, 0.5))
    same(learned(some), learned(some[::-1]))


@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_all_at_once_is_one_by_one(seed: int) -> None:
    some = answers(30, seed=seed, good=(0.6, 0.5), features=(QUESTION, POEM))
    same(learned(some), learned(some, one_by_one=False))


def test_a_judgement_is_replaced_and_never_withdrawn() -> None:
    """One without a judgement was read from the log before it was made."""
    learner = learned(some := answers(20, seed=0))
    before = (learner.judged, qualities(learner))
    learner.absorb(msgspec.structs.replace(some[7], quality=None, quality_weight=0.0))
    assert (learner.judged, qualities(learner)) == before


@given(st.integers(0, 1000), st.floats(0, 1), st.sampled_from([0.25, 1.0, 3.0]))
@settings(max_examples=20)
def test_a_replaced_judgement_was_never_given_otherwise(seed: int, quality: float, weight: float) -> None:
    some = answers(20, seed=seed, good=(0.6, 0.5))
    replaced = msgspec.structs.replace(some[7], quality=quality, quality_weight=weight)
    for one_by_one in (True, False):
        learner = learned(some, one_by_one=one_by_one)
        learner.absorb(replaced)
        renewed(learner)
        expected = learned([*some[:7], replaced, *some[8:]])
        same_sums(learner.state().quality, expected.state().quality)
        assert qualities(learner) == pytest.approx(qualities(expected), abs=0.03), "variances are a step apart"


def test_an_answer_that_comes_again_counts_once() -> None:
    learner = learned(some := answers(20, seed=0))
    before = (learner.judged, learner.answered, qualities(learner))
    for sample in some:
        learner.absorb(sample)
    learner.absorb_all(some)
    assert (learner.judged, learner.answered, qualities(learner)) == before


def test_of_one_answer_given_twice_at_once_the_later_judgement_counts() -> None:
    twice = [answer(1, quality=0.0), answer(1, quality=1.0)]
    same(learned(twice, one_by_one=False), learned(twice[1:]))


def test_a_judgement_that_comes_later_than_its_answer_counts_then() -> None:
    unjudged = answer(1, quality=None, quality_weight=0.0)
    learner = learned([unjudged])
    assert (learner.answered, learner.judged) == (1, 0)
    learner.absorb(answer(1))
    assert (learner.answered, learner.judged) == (1, 1)


def test_answers_without_an_id_are_each_their_own() -> None:
    nameless = [msgspec.structs.replace(answer(n), decision_id="") for n in range(5)]
    for one_by_one in (True, False):
        learner = learned(nameless, one_by_one=one_by_one)
        assert (learner.answered, learner.judged) == (5, 5)


@pytest.mark.parametrize(
    ("quality", "weight"), [(math.nan, 1.0), (math.inf, 1.0), (0.5, 0.0), (0.5, -1.0), (0.5, math.nan), (None, 1.0)]
)
def test_a_judgement_that_says_nothing_is_passed_over_and_can_be_replaced(
    quality: float | None, weight: float
) -> None:
    nothing = answer(1, quality=quality, quality_weight=weight)
    for one_by_one in (True, False):
        learner = learned([nothing], one_by_one=one_by_one)
        assert (learner.answered, learner.judged) == (1, 0)
        learner.absorb(answer(1))
        same(renewed(learner), learned([answer(1)]), rel=0.01)


def test_a_judgement_outside_its_range_counts_as_its_end() -> None:
    beyond = [answer(1, quality=7.0, quality_weight=9.0)]
    same(learned(beyond), learned([answer(1, quality=1.0, quality_weight=1.0)]))


def test_an_answer_of_which_no_features_are_known_teaches_nothing() -> None:
    bare = [answer(1, features=None)]
    for one_by_one in (True, False):
        assert learned(bare, one_by_one=one_by_one).answered == 0


def test_a_judgement_replaced_after_a_change_leaves_no_negative_sums() -> None:
    learner = Learner()
    rng = np.random.default_rng(0)
    some = [answer(n, quality=float(rng.random() < (0.9 if n < 200 else 0.1))) for n in range(260)]
    for sample in some:
        learner.absorb(sample)
        learner.settle("default")
    assert learner.changes["full"]
    for sample in some:
        learner.absorb(msgspec.structs.replace(sample, quality=0.5))
    [moments] = [m for tenant, m in learner.state().quality.statistics[0].items() if tenant == "default"]
    assert (np.linalg.eigvalsh(moments.square) > -1e-6).all()
    assert qualities(learner)[0] == pytest.approx(0.5, abs=0.1)


def test_only_the_latest_answers_are_remembered() -> None:
    learner = Learner()
    learner.absorb_all(answer(n, features=NOTHING) for n in range(REMEMBERED + 10))
    assert len(learner.state().counted) == REMEMBERED
    assert "d0" not in learner.state().counted


def test_of_many_tenants_those_heard_last_keep_their_own_statistics() -> None:
    some = [answer(n, tenant=f"t{n % (MOST_TENANTS + 4)}", variant=("full", "tiny")[n % 2]) for n in range(200)]
    some.append(answer(999, tenant="t0"))
    learner = Learner()
    learner.absorb_all(some)
    kept = {tenant: m.weight for tenant, m in learner.state().quality.statistics[0].items() if tenant != ANYONE}
    assert len(kept) == MOST_TENANTS
    assert kept["t0"].sum() == 11.0


# --- predicting


def test_one_judged_answer_moves_the_prediction_of_every_variant() -> None:
    before, after = qualities(learned([])), qualities(learned([answer(0, quality=0.0)]))
    assert before == pytest.approx([0.5, 0.5])
    assert after[0] < after[1] < 0.5 - 0.01


@pytest.mark.parametrize(
    ("source", "quality_se", "sd"),
    [
        ("stated", 0.0, STATED_SD),
        ("stated", 0.3, 0.3),
        ("card", 0.05, 0.05),
        ("card", 0.0, 0.02),
        ("prior", 0.0, GUESSED_SD),
    ],
)
def test_what_is_known_beforehand_counts_by_how_sure_it_is(source: str, quality_se: float, sd: float) -> None:
    """A stated quality has a standard deviation of at least .2, a measured card that of its own measurement."""
    known = candidates("full", source=source, quality=0.8, quality_se=quality_se)
    learner = Learner()
    belief = learner.estimate(request(features=QUESTION), known).belief
    assert belief.level == pytest.approx([0.8])
    assert belief.draws.std() == pytest.approx(math.hypot(0.3, sd), rel=0.05), "around what variants share"


def test_a_sure_card_takes_more_answers_to_be_doubted_than_a_statement() -> None:
    def after_ten(source: str) -> float:
        learner = Learner()
        known = [
            *candidates("full", source=source, quality=0.9, quality_se=0.02),
            *candidates("tiny", source="card", quality_se=0.001),
        ]
        learner.introduce({c.name: c.profile for c in known})
        for n in range(10):
            learner.absorb(answer(n, quality=0.0))
            learner.absorb(answer(100 + n, variant="tiny", quality=float(n % 2)))
        learner.settle("default")
        return levels(learner, "default", "full")[0]

    assert after_ten("stated") < after_ten("card")


@given(requests, candidate_sets(), any_features(), st.integers(0, 3))
@settings(max_examples=60)
def test_estimates_are_sound_whatever_is_asked(
    asked: RoutingRequest, given: tuple[Candidate, ...], features: Features, seed: int
) -> None:
    learner = FITTED[seed]
    found = learner.estimate(msgspec.structs.replace(asked, features=features), given)
    assert all(is_sound(estimate) for estimate in found)
    assert found.belief.is_sound(len(given))
    assert np.isfinite(found.belief.draws).all()


def _fitted(seed: int) -> Learner:
    here = world(40, seed=seed)
    learner = Learner(Fit(basis=fit_basis(here.features)))
    for n, sample in enumerate(answers(60, seed=seed, features=here.features)):
        learner.decided("default", sample.features, choice=sample.variant, prompt_tokens=10)
        learner.absorb(msgspec.structs.replace(sample, cut=n % 3 == 0, completion_tokens=10 ** (n % 7)))
        learner.settle("default")
    return learner


FITTED = [Learner(), learned(answers(50, seed=0)), _fitted(0), learned(answers(3000, seed=1, good=(1.0, 0.0)))]


def test_nobody_asked_for_gets_no_estimates() -> None:
    found = Learner().estimate(request(), [])
    assert found == ()
    assert found.belief.is_sound(0)
    assert of_estimates(()).is_sound(0)


def test_without_features_it_is_predicted_what_is_usual() -> None:
    learner = learned(answers(200, seed=0))
    usual, none = qualities(learner), qualities(learner, None)  # type: ignore[arg-type]
    assert none[0] > none[1]
    assert usual[0] > usual[1] + 0.2


def test_what_prompts_say_is_told_apart() -> None:
    """Each variant is good at one kind of prompt, under the first basis by their groups and surface alone."""
    some = [
        answer(n, variant=("full", "tiny")[n % 2], features=(QUESTION, POEM)[n // 2 % 2],
               quality=float((n % 2) == (n // 2 % 2)))
        for n in range(200)
    ]  # fmt: skip
    learner = learned(some)
    sums, poems = qualities(learner), qualities(learner, POEM)
    assert sums[0] > 0.8 > 0.2 > sums[1]
    assert poems[1] > 0.8 > 0.2 > poems[0]


WORLDS = [world(100, seed=seed) for seed in range(60)]


@pytest.mark.parametrize("fitted", [False, True], ids=["the first basis", "a fitted one"])
def test_intervals_of_levels_cover_what_they_say(fitted: bool) -> None:
    """180 intervals of 90 %, from 60 worlds of three variants; their share has a standard error of 2.5 points."""
    inside = []
    fit = Fit(basis=fit_basis(world(150, seed=99).features)) if fitted else None
    for seed, here in enumerate(WORLDS):
        rng = np.random.default_rng(seed)
        learner = Learner(fit)
        known = candidates(*NAMES)
        learner.introduce({c.name: c.profile for c in known})
        some = []
        for n, features in enumerate(here.features):
            place = int(rng.integers(3))
            learner.decided("default", features, choice=NAMES[place], prompt_tokens=10)
            quality = float(rng.random() < here.truth[n, place])
            some.append(answer(n, variant=NAMES[place], features=features, quality=quality))
        learner.absorb_all(some)
        belief = renewed(learner).estimate(request(features=here.features[0]), known).belief
        off = np.abs(belief.level - here.truth.mean(axis=0))
        inside.append(off <= NormalDist().inv_cdf(0.95) * belief.draws.std(axis=1))
    assert 0.85 <= np.mean(inside) <= 0.95


def test_a_level_is_that_of_the_tenants_own_traffic() -> None:
    learner = learned(
        [
            answer(n, variant=("full", "tiny")[n % 2], features=(QUESTION, POEM)[n // 2 % 2],
                   quality=float((n % 2) == (n // 2 % 2)))
            for n in range(200)
        ]
    )  # fmt: skip
    for _ in range(100):
        learner.decided("sums", QUESTION, choice="full", prompt_tokens=10)
    first = learner.estimate(request(tenant="poems", features=POEM), TWO).belief
    learner.decided("poems", POEM, choice="full", prompt_tokens=10)
    sums, poems = (learner.estimate(request(tenant=t, features=POEM), TWO).belief for t in ("sums", "poems"))
    assert sums.level[0] > sums.level[1] + 0.4
    assert poems.level[1] > poems.level[0] + 0.4
    np.testing.assert_allclose(first.level, sums.level, atol=0.05, err_msg="until it has any, that of all together")
    np.testing.assert_allclose(poems.shift, 0.0, atol=1e-6, err_msg="its requests are all alike")
    np.testing.assert_allclose(poems.doubt, 0.0, atol=1e-3)


def test_the_doubt_about_a_request_is_greater_the_more_unusual_it_is() -> None:
    learner = learned(answers(100, seed=0))
    for _ in range(50):
        learner.decided("default", QUESTION, choice="full", prompt_tokens=10)
    usual, unusual = (learner.estimate(request(features=f), TWO).belief.doubt[0, 1] for f in (QUESTION, POEM))
    assert unusual > usual + 0.02


def test_choices_are_counted_by_decision_and_costs_are_those_of_the_tenants_mean_request() -> None:
    learner = Learner()
    priced = [msgspec.structs.replace(c, compute_per_s_usd=0.0, prompt_per_token_usd=usd)
              for c, usd in zip(TWO, (3.0, 1.0), strict=True)]  # fmt: skip
    for prompt_tokens in (50, 150):
        learner.decided("default", QUESTION, choice="tiny", prompt_tokens=prompt_tokens, limit_tokens=1)
    busy = [msgspec.structs.replace(priced[0], queued=50, running=1), priced[1]]
    belief = learner.estimate(request(features=QUESTION, prompt_tokens=1000), busy).belief
    assert belief.usd == pytest.approx([300.0, 100.0])
    assert belief.latency_s[0] == pytest.approx(belief.latency_s[1]), "at rest they are equally fast"
    assert belief.tried.tolist() == [0.0, 2.0]
    assert belief.requests == 2.0


def test_exploring_stops_where_hardly_any_answer_is_judged() -> None:
    learner = Learner()
    unjudged = [answer(n, quality=None, quality_weight=0.0) for n in range(2 * UNJUDGED + 1)]
    learner.absorb_all(unjudged[:UNJUDGED])
    assert learner.estimate(request(features=QUESTION), TWO).belief.judged
    learner.absorb_all(unjudged[UNJUDGED:])
    assert not learner.estimate(request(features=QUESTION), TWO).belief.judged
    learner.absorb_all(answer(10**6 + n) for n in range(5))
    assert learner.estimate(request(features=QUESTION), TWO).belief.judged


def test_candidates_are_told_apart_by_name_in_any_order_and_number() -> None:
    learner = learned(answers(200, seed=0))
    both, back = (learner.estimate(request(features=QUESTION), of) for of in (TWO, TWO[::-1]))
    one = learner.estimate(request(features=QUESTION), TWO[1:])
    assert [e.quality for e in back] == pytest.approx([e.quality for e in both[::-1]])
    assert one[0].quality == pytest.approx(both[1].quality)
    np.testing.assert_array_equal(one.belief.draws[0], both.belief.draws[1])
    np.testing.assert_allclose(back.belief.doubt, both.belief.doubt.T)


# --- variants


def test_a_new_variant_starts_from_what_variants_share() -> None:
    learner = learned([answer(n, variant=("full", "tiny")[n % 2], quality=0.0) for n in range(60)])
    new = learner.estimate(request(features=QUESTION), [*TWO, *candidates("new")])[2]
    assert new.quality < 0.35, "all others are bad at it"
    assert new.quality_se > 0.1


def test_a_trial_variant_starts_from_its_parent_and_learns_of_its_own() -> None:
    learner = learned(answers(400, seed=0))
    learner.parents = {"child": "full"}
    three = [*TWO, *candidates("child")]
    full, _, child = qualities(learner, of=three)
    assert child == pytest.approx(full, abs=0.03)
    for n in range(20):
        learner.absorb(answer(1000 + n, variant="child", quality=0.0))
    learner.settle("default")
    full, _, child = qualities(learner, of=three)
    assert child < 0.55 < 0.8 < full


def test_a_forgotten_variant_is_unknown_again_and_its_judgements_are_not_taken_back() -> None:
    learner = learned(some := answers(60, seed=0))
    learner.forget("full")
    assert learner.variants == ("tiny",)
    [replaced] = [msgspec.structs.replace(s, quality=1.0 - (s.quality or 0.0)) for s in some if s.variant == "full"][
        :1
    ]
    learner.absorb(replaced)
    assert learner.state().quality.weight("full") == 1.0


def test_an_answer_of_a_variant_that_no_candidate_had_teaches_as_well() -> None:
    learner = learned([answer(n, variant="stranger", quality=0.0) for n in range(30)])
    assert "stranger" in learner.variants
    assert qualities(learner)[0] < 0.45


def test_what_is_stated_anew_of_a_variant_is_heeded() -> None:
    learner = Learner()
    first, second = (candidates("full", source="card", quality=q, quality_se=0.05) for q in (0.3, 0.9))
    assert learner.estimate(request(features=QUESTION), first)[0].quality == pytest.approx(0.3)
    assert learner.estimate(request(features=QUESTION), second)[0].quality == pytest.approx(0.9)


# --- lengths and times


def test_lengths_are_learned_and_a_variant_that_was_never_seen_borrows_from_the_others() -> None:
    some = [answer(n, variant=("full", "tiny")[n % 2], completion_tokens=400 if n % 2 else 380) for n in range(80)]
    learner = learned(some)
    full, tiny, new = learner.estimate(request(features=QUESTION), [*TWO, *candidates("new")])
    assert full.completion_tokens == pytest.approx(380, rel=0.15)
    assert tiny.completion_tokens == pytest.approx(400, rel=0.15)
    assert new.completion_tokens > 200.0, "the profile says 64"


def test_the_callers_limit_ends_an_answer() -> None:
    learner = learned([answer(n, completion_tokens=400) for n in range(50)])
    asked = request(features=QUESTION, max_completion_tokens=10)
    assert learner.estimate(asked, TWO)[0].completion_tokens == 10.0
    open_ = learner.estimate(request(features=QUESTION), TWO)[0]
    assert learner.estimate(asked, TWO)[0].latency_s < open_.latency_s
    assert learner.estimate(asked, TWO)[0].cost_usd < open_.cost_usd


def test_answers_that_were_cut_count_as_longer_than_what_was_seen() -> None:
    rng = np.random.default_rng(0)
    whole = np.ceil(300.0 * rng.lognormal(0.0, 0.4, 300)).astype(int).tolist()
    seen = [answer(n, completion_tokens=min(250, tokens), cut=tokens > 250) for n, tokens in enumerate(whole)]
    learner = Learner()
    for sample in seen:
        learner.absorb(sample)
        learner.settle("default")
    taken = learner.estimate(request(features=QUESTION), TWO)[0].completion_tokens
    assert taken == pytest.approx(np.mean(whole), rel=0.15)
    assert np.mean([s.completion_tokens for s in seen]) < 0.75 * np.mean(whole)


def test_times_come_from_the_latency_model_and_a_childs_from_its_parents() -> None:
    plain, slow = Learner(), Learner(latency=LatencyModel.from_artifact(latency_artifact("full")))
    slow.parents = {"child": "full"}
    three = [*TWO, *candidates("child")]
    card, twice = (of.estimate(request(features=QUESTION), three) for of in (plain, slow))
    assert twice[0].ttft_s == pytest.approx(2.0 * card[0].ttft_s)
    assert twice[1].ttft_s == pytest.approx(card[1].ttft_s)
    assert twice[2].ttft_s == pytest.approx(2.0 * card[2].ttft_s)


# --- another fit


def test_a_refitted_learner_knows_the_same_answers_in_another_basis() -> None:
    here = world(300, seed=0)
    some = answers(300, seed=0, features=here.features)
    learner = learned(some)
    for sample in some:
        learner.decided("default", sample.features, choice=sample.variant, prompt_tokens=10)
    fit = Fit(basis=fit_basis(here.features))
    again = learner.refitted(fit, some)
    assert (again.judged, again.answered, again.requests) == (300, 300, 300)
    assert again.tried == learner.tried
    assert qualities(again, None) == pytest.approx(qualities(learner, None), abs=0.1)  # type: ignore[arg-type]
    of = (at.estimate(request(features=QUESTION), TWO).belief.usd for at in (again, learner))
    np.testing.assert_allclose(*of, rtol=0.3)
    before = qualities(learner)
    again.absorb(answer(10**6, quality=0.0))
    assert qualities(learner) == before, "each goes its own way"


def test_a_fit_that_serves_two_learners_is_changed_by_neither() -> None:
    fit = Fit(basis=fit_basis(world(40, seed=0).features))
    one, other = Learner(fit), Learner(fit)
    before = other.fit.basis.vector(POEM)
    one.decided("bank", POEM, choice="full", prompt_tokens=10)
    one.absorb(answer(0, features=POEM))
    np.testing.assert_array_equal(other.fit.basis.vector(POEM), before)
    np.testing.assert_array_equal(fit.basis.vector(POEM), before)


def test_a_fits_variances_are_used_from_the_start() -> None:
    wide = Variances(shared=np.array([0.09, 0.5, 0.5, 0.5]), own=np.array([0.02, 0.5, 0.5, 0.5]), noise=np.zeros(0))
    learner = Learner(Fit(basis=fit_basis(world(40, seed=0).features), quality=wide))
    plain = Learner(Fit(basis=fit_basis(world(40, seed=0).features)))
    se = [of.estimate(request(features=QUESTION), TWO)[0].quality_se for of in (learner, plain)]
    assert se[0] > 1.2 * se[1]


def test_an_answer_absorbed_where_it_was_not_decided_teaches_the_same() -> None:
    """As a replica or the trainer does, which read the log: groups get their columns from answers as well."""
    some = [answer(n, features=(QUESTION, POEM)[n % 2], quality=float(n % 2)) for n in range(60)]
    here, there = Learner(), learned(some)
    here.introduce({c.name: c.profile for c in TWO})
    for sample in some:
        here.decided("default", sample.features, choice="full", prompt_tokens=10)
        here.absorb(sample)
    renewed(here)
    assert qualities(there) == pytest.approx(qualities(here), abs=1e-4)
    assert qualities(there, POEM) == pytest.approx(qualities(here, POEM), abs=1e-4)
