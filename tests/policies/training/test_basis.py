"""Fitting a basis: served vectors are scikit-learn's, and any requests at all lead to one."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer

from policies.features.extract import extract
from policies.features.layout import GRAM_BUCKETS, SURFACE
from policies.features.types import Features, Prompt
from policies.learner.basis import GROUPS, SURFACE_CLIP, SURFACE_SCALE, Basis, Block
from policies.training.basis import KEPT_GRAMS, fit_basis, text_size
from tests.policies.learner.test_basis import any_features, block
from tests.quality_worlds import world

HERE = world(80, seed=0)


def distinct(features: list[Features]) -> list[Features]:
    return list({f.grams.tobytes(): f for f in features}.values())


def counts_of(features: list[Features]) -> sp.csr_matrix:
    rows = np.repeat(np.arange(len(features)), [len(f.grams) for f in features])
    columns = np.concatenate([f.grams for f in features])
    data = np.concatenate([f.counts for f in features])
    return sp.csr_matrix((data, (rows, columns)), shape=(len(features), GRAM_BUCKETS))


@pytest.mark.parametrize("directions", [4, 32])
def test_the_served_text_is_scikit_learns_tf_idf_projected_by_its_svd(directions: int) -> None:
    """Up to a rotation of the directions: what vectors have in common is compared, on prompts seen and unseen."""
    seen = distinct(HERE.features)
    asked = [*seen, *world(20, seed=5).features]
    basis = fit_basis(HERE.features, directions=directions)
    tfidf = TfidfTransformer(sublinear_tf=True, smooth_idf=True, norm="l2").fit(counts_of(seen))
    svd = TruncatedSVD(directions, algorithm="arpack", random_state=0).fit(tfidf.transform(counts_of(seen)))
    expected = svd.transform(tfidf.transform(counts_of(asked)))
    served = np.array([block(basis, basis.vector(f), Block.TEXT) for f in asked])
    np.testing.assert_allclose(served @ served.T, expected @ expected.T, atol=0.05)
    # The leading directions alone are the same ones.
    assert np.abs(served[:, 0]) == pytest.approx(np.abs(expected[:, 0]), abs=0.01)


def test_the_surface_is_standardised_on_the_prompts() -> None:
    seen = distinct(HERE.features)
    basis = fit_basis(HERE.features)
    served = np.array([block(basis, basis.vector(f), Block.SURFACE) for f in seen]) / SURFACE_SCALE
    surface = np.array([f.surface for f in seen], np.float64)
    z = (surface - surface.mean(axis=0)) / np.maximum(surface.std(axis=0), 1e-3)
    np.testing.assert_allclose(served, np.clip(z, -SURFACE_CLIP, SURFACE_CLIP), atol=1e-3)


@pytest.mark.parametrize(("prompts", "directions"), [(0, 0), (19, 0), (20, 32), (199, 32), (200, 64), (10**6, 64)])
def test_more_prompts_are_worth_more_directions(prompts: int, directions: int) -> None:
    assert text_size(prompts) == directions


def test_the_commonest_groups_that_tell_requests_apart_get_the_columns() -> None:
    asked = [
        extract(Prompt(text="same", tenant="always", tags={"kind": f"k{n % 70}", "odd": str(n % 2)}))
        for n in range(210)
    ]
    basis = fit_basis(asked)
    taken = [int(block(basis, basis.vector(f), Block.GROUP).sum()) for f in asked]
    assert (basis.arrays()["groups"] >= 0).sum() == GROUPS
    assert set(taken) == {1, 2}, "the tenant of every request tells nothing; of 70 kinds 62 find room beside the odd"


def test_equal_prompts_count_once_for_directions() -> None:
    once, often = HERE.features[:25], HERE.features[:25] + [HERE.features[0]] * 500
    np.testing.assert_allclose(fit_basis(often).arrays()["idf"], fit_basis(once).arrays()["idf"], atol=1e-6)


def test_the_same_requests_give_the_same_basis() -> None:
    one, other = fit_basis(HERE.features).arrays(), fit_basis(HERE.features).arrays()
    assert all((one[name] == other[name]).all() for name in one)


def test_an_artifact_has_room_for_the_grams_that_weigh_most() -> None:
    rng = np.random.default_rng(0)
    many = [
        Features(
            grams=np.sort(rng.choice(GRAM_BUCKETS, 400, replace=False)).astype(np.uint16),
            counts=np.ones(400, np.float32),
            surface=np.zeros(len(SURFACE), np.float32),
            groups=np.zeros(0, np.uint16),
        )
        for _ in range(120)
    ]
    basis = fit_basis(many)
    assert basis.arrays()["projection"].shape == (KEPT_GRAMS + 1, 32)
    assert np.isfinite(basis.vector(many[0])).all()


def few_grams(count: int) -> list[Features]:
    """Distinct prompts of a handful of grams between them."""
    return [
        Features(
            grams=np.array([g for g in range(6) if number >> g & 1], np.uint16),
            counts=np.ones(number.bit_count(), np.float32),
            surface=np.zeros(len(SURFACE), np.float32),
            groups=np.zeros(0, np.uint16),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, 30, 64])
def test_prompts_of_fewer_grams_than_directions_get_as_many_as_there_are(count: int) -> None:
    basis = fit_basis(few_grams(count))
    assert basis.text_size <= 6
    assert all(np.isfinite(basis.vector(f)).all() for f in few_grams(64))


@given(st.lists(any_features(), min_size=1, max_size=30))
@settings(max_examples=30)
def test_any_requests_lead_to_a_basis(features: list[Features]) -> None:
    basis = fit_basis(features)
    assert isinstance(basis, Basis)
    assert all(np.isfinite(basis.vector(f)).all() for f in features)
