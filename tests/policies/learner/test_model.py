"""Statistics by tenant: its own count in full, those of others within bounds, and each record can be taken back."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.learner.model import (
    ANYONE,
    EAGER,
    FORGETS,
    MOST_CHANGES,
    MOST_TENANTS,
    SHARED_WEIGHT,
    JointModel,
    Known,
    Record,
)
from policies.learner.posterior import Variances, solve
from tests.learner_worlds import BLOCKS, PRIOR, SIZE, model, records

Z = np.eye(SIZE)[0]


def means(of: JointModel, tenant: str = "default") -> np.ndarray:
    return solve(of.problem(tenant)).means(Z)


def observed(of: JointModel, some: list[Record]) -> JointModel:
    for record in some:
        of.observe(record)
    return of


def settle(of: JointModel, tenant: str) -> None:
    of.take(tenant, solve(of.problem(tenant)))


def same_sums(one: JointModel, other: JointModel) -> None:
    for tenant, moments in one.statistics[0].items():
        for name in ("square", "target", "rows", "weight"):
            np.testing.assert_allclose(
                getattr(moments, name), getattr(other.statistics[0][tenant], name), atol=1e-9, err_msg=name
            )


@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_without_changes_the_order_of_records_does_not_matter(seed: int, shuffle: object) -> None:
    some = records(30, seed=seed)
    other = list(some)
    shuffle.shuffle(other)  # type: ignore[attr-defined]
    same_sums(observed(model("a", "b", "c"), some), observed(model("a", "b", "c"), other))


@given(st.integers(0, 1000), st.integers(0, 29))
def test_a_record_taken_back_and_given_anew_was_never_given_otherwise(seed: int, which: int) -> None:
    some = records(30, seed=seed)
    of = model("a", "b", "c")
    receipts = [of.observe(record) for record in some]
    of.take_back(receipts[which], some[which].z)
    changed = some[which]._replace(y=1.0 - some[which].y, weight=0.5)
    of.observe(changed)
    same_sums(of, observed(model("a", "b", "c"), [changed if n == which else r for n, r in enumerate(some)]))


def test_many_at_once_are_each_of_them() -> None:
    some = records(40, seed=0, names=["a"])
    of = model("a")
    z, y, weight, at_s = (np.array([getattr(r, name) for r in some]) for name in ("z", "y", "weight", "at_s"))
    receipts = of.observe_all("default", "a", z=z, y=y, weight=weight, at_s=at_s)
    same_sums(of, observed(model("a"), some))
    for record, receipt in zip(some, receipts, strict=True):
        of.take_back(receipt, record.z)
    assert of.weight("a") == pytest.approx(0.0, abs=1e-9)


# --- tenants


def test_a_tenants_own_records_count_in_full_and_those_of_others_within_a_bound() -> None:
    of = model("a")
    for number in range(500):
        of.observe(Record("busy", "a", Z, 1.0, 1.0, float(number)))
    of.observe(Record("calm", "a", Z, 0.0, 1.0))
    assert of.problem("busy").moments.weight[0] == pytest.approx(501.0)
    assert of.problem("calm").moments.weight[0] == pytest.approx(SHARED_WEIGHT + 1.0)
    assert of.problem("stranger").moments.weight[0] == pytest.approx(SHARED_WEIGHT + 1.0)


def test_ten_thousand_judgements_move_another_tenant_no_more_than_a_hundred() -> None:
    bad = np.array([record.z for record in records(int(SHARED_WEIGHT), seed=7)])

    def with_attack(times: int) -> JointModel:
        of = observed(model("a", "b", "c"), records(900, seed=1, tenant="victim"))
        z = np.tile(bad, (times, 1))
        of.observe_all("attacker", "a", z=z, y=np.zeros(len(z)), weight=np.ones(len(z)), at_s=np.zeros(len(z)))
        return of

    def sees(of: JointModel, tenant: str) -> float:
        return float(solve(of.problem(tenant)).means(bad.mean(axis=0))[0])

    none, few, many = with_attack(0), with_attack(1), with_attack(100)
    assert sees(many, "victim") == pytest.approx(sees(few, "victim"), abs=1e-9)
    assert sees(none, "victim") > sees(many, "victim") > 0.3
    assert sees(many, "attacker") < 0.02, "its own records count in full for itself"


def test_a_variant_of_which_one_tenant_tells_is_known_to_all() -> None:
    of = model("a", "b")
    for number in range(50):
        of.observe(Record("one", "a", Z, 1.0, 1.0, float(number)))
    assert means(of, "other")[0] > 0.85
    assert means(of, "other")[1] > 0.55, "through what variants share"


def test_beyond_the_limit_the_tenant_heard_longest_ago_joins_the_others() -> None:
    of = model("a", "b")
    for number in range(MOST_TENANTS + 1):
        observed(of, records(5, seed=number, names=["a", "b"], tenant=f"t{number}"))
    assert of.whose("t0") == ANYONE
    assert [of.whose(f"t{n}") for n in range(1, MOST_TENANTS + 1)] == [f"t{n}" for n in range(1, MOST_TENANTS + 1)]
    total = sum(r.weight for n in range(MOST_TENANTS + 1) for r in records(5, seed=n, tenant=f"t{n}"))
    assert of.problem("t5").moments.weight.sum() == pytest.approx(total), "nothing is lost of so few records"
    assert of.statistics[0][ANYONE].weight.sum() > 0.0


def test_what_a_busy_tenant_leaves_behind_is_within_the_bound_as_well() -> None:
    of = model("a")
    of.observe_all("busy", "a", z=np.tile(Z, (900, 1)), y=np.ones(900), weight=np.ones(900), at_s=np.zeros(900))
    for number in range(MOST_TENANTS):
        of.observe(Record(f"t{number}", "a", Z, 1.0, 1.0))
    assert of.statistics[0][ANYONE].weight[0] == pytest.approx(SHARED_WEIGHT)


def test_a_record_of_a_tenant_that_was_merged_cannot_be_taken_back() -> None:
    of = model("a")
    receipt = of.observe(Record("old", "a", Z, 1.0, 1.0))
    for number in range(MOST_TENANTS):
        of.observe(Record(f"t{number}", "a", Z, 1.0, 1.0))
    of.take_back(receipt, Z)
    of.observe(Record("old", "a", Z, 1.0, 1.0))
    of.take_back(receipt, Z)
    assert of.standing(receipt) == 0.0
    assert all((moments.weight >= 0.0).all() for moments in of.statistics[0].values())
    assert of.statistics[0]["old"].weight[0] == 1.0


# --- variants


def test_a_variant_comes_and_goes_and_leaves_the_others_as_they_were() -> None:
    some = records(200, seed=2, names=["a", "b"])
    of, apart = observed(model("a", "gone", "b"), some), observed(model("a", "b"), some)
    of.observe(Record("default", "gone", Z, 0.0, 1.0))
    of.forget("gone")
    of.forget("never there")
    assert of.names == ("a", "b")
    np.testing.assert_allclose(means(of), means(apart), atol=1e-9)
    assert of.weight("gone") == 0.0


def test_a_forgotten_variant_that_comes_back_starts_afresh() -> None:
    of = model("a", "b")
    receipt = of.observe(Record("default", "a", Z, 1.0, 1.0))
    of.forget("a")
    of.introduce({"a": Known(mean=0.5, sd=0.2)})
    of.take_back(receipt, Z)
    assert of.weight("a") == 0.0
    assert means(of) == pytest.approx([0.5, 0.5])


def test_what_is_stated_anew_of_a_variant_counts_from_then_on() -> None:
    of = model("a", "b")
    assert of.introduce({"a": Known(mean=0.9, sd=0.2)})
    assert not of.introduce({"a": Known(mean=0.9, sd=0.2)})
    assert means(of) == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize("guessed", [True, False])
def test_a_child_starts_from_what_its_parent_turned_out_to_be(guessed: bool) -> None:
    of = model("a", "b")
    apart = np.zeros(SIZE)
    apart[[0, 2]] = 1.0
    for number in range(300):
        of.observe(Record("default", "a", apart if number % 2 else Z, float(number % 2), 1.0))
    for _ in range(20):
        settle(of, "default")
    of.introduce({"child": Known(mean=0.2, sd=0.15, parent="a", guessed=guessed)})
    posterior = solve(of.problem("default"))
    parent, child = posterior.means(Z)[[0, 2]]
    if guessed:
        assert child == pytest.approx(parent, abs=0.02)
    else:
        assert child == pytest.approx(parent + 0.2 - posterior.own[0, 0], abs=0.02), "what is stated counts"
    assert np.diff(posterior.means(apart)[[0, 2]]) == pytest.approx(child - parent, abs=0.03)
    of.observe(Record("default", "child", Z, 1.0, 1.0))
    assert solve(of.problem("default")).means(Z)[2] > child


def test_a_child_of_an_unknown_parent_starts_from_what_is_stated() -> None:
    of = model("a")
    of.introduce({"child": Known(mean=0.2, sd=0.15, parent="nobody", guessed=True)})
    assert means(of)[1] == pytest.approx(0.2)


# --- variances


def test_the_variances_of_a_fit_are_where_the_evidence_steps_begin() -> None:
    found = Variances(shared=np.array([0.09, 0.5, 0.5, 0.5]), own=np.array([0.02, 0.3, 0.3, 0.3]), noise=np.zeros(0))
    for first in (True, False):
        of = JointModel(blocks=BLOCKS, prior=PRIOR)
        if first:
            of.start_from(found)
        of.introduce({"a": Known(mean=0.5, sd=0.2), "b": Known(mean=0.5, sd=0.2)})
        if not first:
            of.start_from(found)
        start = of.problem("default").start
        assert start.own.tolist() == found.own.tolist()
        assert start.shared.tolist() == found.shared.tolist()
        assert start.noise.tolist() == [PRIOR.noise] * 2
    of.forget("a")
    assert of.problem("default").start.noise.tolist() == [PRIOR.noise]


# --- renewing


def test_the_first_records_renew_the_posterior_each_and_later_ones_ever_less_often() -> None:
    of = model("a", "b", "c")
    settle(of, "default")
    renewed = []
    for number, record in enumerate(records(1500, seed=3)):
        of.observe(record._replace(weight=1.0))
        if of.due("default"):
            renewed.append(number)
            settle(of, "default")
    assert renewed[:EAGER] == list(range(EAGER))
    gaps = [after - before for before, after in itertools.pairwise(renewed)]
    assert gaps[EAGER] == 5
    assert gaps[-1] >= 25
    assert not of.due("default")


def test_a_posterior_of_other_variants_than_there_are_is_dropped() -> None:
    of = model("a")
    stale = solve(of.problem("default"))
    of.introduce({"b": Known(mean=0.5, sd=0.2)})
    of.take("default", stale)
    assert of.posterior("default").means(Z).shape == (2,)


# --- changes


def turned(of: JointModel, *, before: int = 300, after: int = 60, seed: int = 4) -> list[Record]:
    """Records of `a`, good until they are not, to a model whose posterior is kept up to date."""
    rng = np.random.default_rng(seed)
    good = np.concatenate((rng.random(before) < 0.9, rng.random(after) < 0.3)).astype(float)
    some = [Record("default", "a", Z, value, 1.0, float(number)) for number, value in enumerate(good)]
    for record in some:
        of.observe(record)
        if of.due("default"):
            settle(of, "default")
    return some


def test_after_a_change_the_records_before_count_for_a_tenth_at_once_and_after_a_refit() -> None:
    of = model("a", "b")
    some = turned(of)
    since = of.changes["a"]
    assert 290.0 <= since[0] <= 310.0
    settle(of, "default")
    assert 0.2 < means(of)[0] < 0.5
    assert of.weight("a") < 120.0
    again = model("a", "b")
    again.changes = dict(of.changes)
    z, y, at_s = (np.array([getattr(r, name) for r in some]) for name in ("z", "y", "at_s"))
    again.observe_all("default", "a", z=z, y=y, weight=np.ones(len(some)), at_s=at_s)
    factors = [FORGETS ** sum(record.at_s < since_s for since_s in since) for record in some]
    assert again.weight("a") == pytest.approx(sum(factors))
    assert factors[280] <= FORGETS < factors[320]
    assert 0.2 < means(again)[0] < 0.5


def test_a_record_from_before_a_change_counts_for_a_tenth_and_is_taken_back_for_as_much() -> None:
    of = model("a", "b")
    early = of.observe(Record("default", "a", Z, 1.0, 1.0, at_s=-1.0))
    turned(of)
    weight, left = of.weight("a"), FORGETS ** len(of.changes["a"])
    late = of.observe(Record("default", "a", Z, 1.0, 1.0, at_s=0.0))
    assert late.weight == pytest.approx(left)
    assert of.standing(early) == pytest.approx(left)
    assert of.weight("a") == pytest.approx(weight + left)
    of.take_back(early, Z)
    of.take_back(late, Z)
    assert of.weight("a") == pytest.approx(weight - left)


def test_a_variant_that_changes_again_and_again_is_remembered_for_its_latest_changes() -> None:
    of = model("a", "b")
    for number in range(2 * MOST_CHANGES):
        turned(of, before=100, after=100, seed=number)
    assert len(of.changes["a"]) == MOST_CHANGES
    assert "b" not in of.changes


def test_steady_records_change_nothing() -> None:
    of = model("a", "b", "c")
    for record in records(1000, seed=6):
        of.observe(record._replace(weight=1.0))
        if of.due("default"):
            settle(of, "default")
    assert of.changes == {}
