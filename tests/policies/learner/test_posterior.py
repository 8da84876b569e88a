"""The posterior is the joint normal distribution of all parts, in closed form, and its variances follow the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from policies.learner.basis import Block
from policies.learner.moments import Moments
from policies.learner.posterior import LEAST_NOISE, Posterior, Problem, Variances, solve
from tests.learner_worlds import BLOCKS, PRIOR, SIZE, model, records

F64 = NDArray[np.float64]


def problem(count: int = 120, *, seed: int = 0, steps: int = 0) -> Problem:
    here = model("a", "b", "c")
    for record in records(count, seed=seed):
        here.observe(record)
    rng, found = np.random.default_rng(seed), here.problem("default")
    parent = np.zeros((3, SIZE))
    # A parent's own part is nothing but its level where no record was.
    touched = np.diagonal(found.moments.square, axis1=1, axis2=2).any(axis=0)
    parent[1, touched] = rng.normal(0.0, 0.1, int(touched.sum()))
    return replace(found, parent=parent, level=np.array([0.3, 0.5, 0.8]), steps=steps)


def stacked(of: Problem, variances: Variances, z: F64) -> tuple[F64, F64]:
    """Means and covariance of all variants at z, from the whole vector (c, o_1, .., o_k) at once."""
    k = len(of.level)
    precision, right = np.zeros(((k + 1) * SIZE,) * 2), np.zeros((k + 1) * SIZE)
    shared = slice(0, SIZE)
    precision[shared, shared] += np.diag(1.0 / variances.shared[BLOCKS])
    prior_mean = np.zeros((k, SIZE))
    for a in range(k):
        own = slice((a + 1) * SIZE, (a + 2) * SIZE)
        own_variance = variances.own[BLOCKS].copy()
        own_variance[0] = of.level_variance[a]
        prior_mean[a] = np.concatenate((of.level[a : a + 1], of.parent[a, 1:]))
        evidence = of.moments.square[a] / variances.noise[a]
        target = of.moments.target[a] / variances.noise[a]
        precision[own, own] += np.diag(1.0 / own_variance) + evidence
        precision[shared, shared] += evidence
        precision[shared, own] += evidence
        precision[own, shared] += evidence
        right[shared] += target
        right[own] += target + prior_mean[a] / own_variance
    at = np.zeros((k, (k + 1) * SIZE))
    for a in range(k):
        at[a, shared] = at[a, (a + 1) * SIZE : (a + 2) * SIZE] = z
    covariance = np.linalg.inv(precision)
    return at @ covariance @ right, at @ covariance @ at.T


@pytest.mark.parametrize("count", [0, 1, 20, 500])
def test_it_is_the_brute_force_joint_normal_distribution(count: int) -> None:
    of = problem(count)
    posterior = solve(of)
    rng = np.random.default_rng(1)
    for z in (np.eye(SIZE)[0], np.concatenate(([1.0], rng.normal(size=SIZE - 1)))):
        means, covariance = stacked(of, posterior.variances, z)
        np.testing.assert_allclose(posterior.means(z), means, atol=1e-9)
        np.testing.assert_allclose(posterior.covariances(z[None])[0], covariance, atol=2e-6)


def test_several_vectors_at_once_are_each_of_them() -> None:
    posterior = solve(problem())
    z = np.random.default_rng(2).normal(size=(4, SIZE))
    np.testing.assert_allclose(posterior.means(z), [posterior.means(one) for one in z])
    np.testing.assert_allclose(
        posterior.covariances(z), [posterior.covariances(one[None])[0] for one in z], rtol=1e-4, atol=1e-7
    )


def test_what_no_record_has_touched_keeps_its_prior() -> None:
    of = problem(60)
    of.moments.square[:, -1] = of.moments.square[:, :, -1] = of.moments.target[:, -1] = 0.0
    posterior = solve(of)
    assert SIZE - 1 not in posterior.columns
    z = np.eye(SIZE)[-1]
    own, shared = PRIOR.own[Block.TEXT], PRIOR.shared[Block.TEXT]
    np.testing.assert_allclose(posterior.covariances(z[None])[0], shared + own * np.eye(3), rtol=1e-5)


def test_without_any_record_it_is_the_prior() -> None:
    here = model("a", "b", sd=0.3)
    posterior = solve(here.problem("default"))
    z = np.eye(SIZE)[0]
    assert posterior.means(z) == pytest.approx([0.5, 0.5])
    np.testing.assert_allclose(posterior.covariances(z[None])[0], 0.09 + 0.09 * np.eye(2), rtol=1e-5)
    assert posterior.variances.noise.tolist() == [PRIOR.noise] * 2


def test_one_record_moves_every_variant_and_its_own_the_most() -> None:
    here = model("a", "b", "c")
    [record] = records(1, seed=3, names=["b"])
    here.observe(record._replace(y=1.0, weight=1.0))
    moved = solve(here.problem("default")).means(record.z) - 0.5
    assert moved[1] > moved[0] > 0.01
    assert moved[0] == pytest.approx(moved[2])


def test_the_uncertainty_shrinks_with_every_record() -> None:
    here, z, last = model("a", "b"), np.eye(SIZE)[0], np.inf
    for record in records(20, seed=4, names=["a"]):
        here.observe(record)
        now = _fixed(solve(here.problem("default")), here.problem("default")).covariances(z[None])[0, 0, 0]
        assert now < last
        last = now


def _fixed(_: Posterior, of: Problem) -> Posterior:
    """The posterior under the assumed variances, which more records do not move."""
    return solve(replace(of, start=Variances.of(PRIOR, len(of.level)), steps=0))


def world(size: int, *, block: Block, spread: float, noise: float) -> Problem:
    """Records of two variants whose own parts in one block are as wide as stated."""
    rng = np.random.default_rng(5)
    moments = Moments.zeros(2, SIZE)
    weights = np.zeros((2, SIZE))
    weights[:, 0] = 0.5
    weights[:, block == BLOCKS] = rng.normal(0.0, spread, (2, int((block == BLOCKS).sum())))
    for number in range(size):
        z = np.concatenate(([1.0], rng.normal(size=SIZE - 1)))
        moments.add(number % 2, z, float(weights[number % 2] @ z + rng.normal(0.0, noise)), weight=1.0)
    return replace(problem(0), moments=moments, level=np.array([0.5, 0.5]), level_variance=np.full(2, 0.04),
                   parent=np.zeros((2, SIZE)), start=Variances.of(PRIOR, 2), steps=8)  # fmt: skip


def test_the_noise_of_each_variant_is_found() -> None:
    posterior = solve(world(2000, block=Block.TEXT, spread=0.0, noise=0.3))
    assert np.sqrt(posterior.variances.noise) == pytest.approx([0.3, 0.3], rel=0.05)


@pytest.mark.parametrize("block", [Block.GROUP, Block.SURFACE, Block.TEXT])
def test_a_block_that_tells_variants_apart_grows_and_the_others_shrink(block: Block) -> None:
    found = solve(world(800, block=block, spread=0.5, noise=0.2)).variances
    for other in (Block.GROUP, Block.SURFACE, Block.TEXT):
        grown = found.own[other] / PRIOR.own[other]
        assert grown > 3.0 if other == block else grown < 1.0


def test_the_levels_keep_what_is_stated_of_them() -> None:
    found = solve(world(800, block=Block.TEXT, spread=0.5, noise=0.2)).variances
    assert found.own[Block.LEVEL] == PRIOR.own[Block.LEVEL]
    assert found.shared[Block.LEVEL] == PRIOR.shared[Block.LEVEL]


def test_outcomes_without_any_noise_leave_a_little() -> None:
    posterior = solve(world(2000, block=Block.TEXT, spread=0.0, noise=0.0))
    assert (posterior.variances.noise >= LEAST_NOISE).all()
    assert np.isfinite(posterior.covariances(np.eye(SIZE))).all()
