"""A request as a vector: what each part says, whatever the request, and the same after it was stored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import ArtifactError
from policies.estimators.artifact import Artifact
from policies.features.extract import extract
from policies.features.layout import GRAM_BUCKETS, GROUP_BUCKETS, SURFACE
from policies.features.types import Features, Prompt
from policies.learner.basis import GROUPS, SURFACE_CLIP, Basis, Block, first_basis
from policies.training.basis import fit_basis
from tests.learner_worlds import QUESTION
from tests.quality_worlds import world

FITTED = fit_basis(world(60, seed=0).features)

buckets = st.lists(st.integers(0, GRAM_BUCKETS - 1), max_size=20, unique=True).map(sorted)


@st.composite
def any_features(draw: st.DrawFn) -> Features:
    """Within the layout, and beyond what an extraction makes."""
    grams = draw(buckets)
    counts = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0, 255.0, 1e30]), min_size=len(grams), max_size=len(grams)))
    surface = draw(st.lists(st.floats(-1e9, 1e9, width=32), min_size=len(SURFACE), max_size=len(SURFACE)))
    groups = draw(st.lists(st.integers(0, GROUP_BUCKETS - 1), max_size=80))
    return Features(
        grams=np.array(grams, np.uint16),
        counts=np.array(counts, np.float32),
        surface=np.array(surface, np.float32),
        groups=np.array(groups, np.uint16),
    )


def block(basis: Basis, vector: np.ndarray, which: Block) -> np.ndarray:
    return vector[basis.blocks == which]


@given(any_features())
def test_any_request_has_a_finite_vector_of_bounded_parts(features: Features) -> None:
    for basis in (first_basis(), FITTED):
        basis.admit(features)
        z = basis.vector(features)
        assert z.shape == (basis.size,) == basis.blocks.shape
        assert np.isfinite(z).all()
        assert z[0] == 1.0
        assert set(block(basis, z, Block.GROUP)) <= {0.0, 1.0}
        assert np.linalg.norm(block(basis, z, Block.SURFACE)) <= SURFACE_CLIP**2 + 1e-5
        assert np.linalg.norm(block(basis, z, Block.TEXT)) <= 1.0 + 1e-5


def test_a_request_of_which_nothing_is_known_is_no_request_in_particular() -> None:
    for basis in (first_basis(), FITTED):
        z = basis.vector(None)
        assert z[0] == 1.0
        assert not z[1:].any()
        basis.admit(None)


def test_groups_get_columns_as_they_appear_until_there_are_none_left() -> None:
    basis = first_basis()
    for number in range(2 * GROUPS):
        groups = np.array([number], np.uint16)
        features = Features(grams=QUESTION.grams, counts=QUESTION.counts, surface=QUESTION.surface, groups=groups)
        assert not block(basis, basis.vector(features), Block.GROUP).any()
        basis.admit(features)
        basis.admit(features)
        found = block(basis, basis.vector(features), Block.GROUP)
        assert np.flatnonzero(found).tolist() == ([number] if number < GROUPS else [])


def test_columns_of_groups_stay_what_they_were() -> None:
    basis = first_basis()
    basis.admit(QUESTION)
    before = basis.vector(QUESTION)
    basis.admit(extract(Prompt(text="else", tenant="bank", tags={"kind": "poems"})))
    np.testing.assert_array_equal(basis.vector(QUESTION), before)


def test_a_copy_gives_columns_of_its_own() -> None:
    basis = first_basis()
    basis.copy().admit(QUESTION)
    assert not block(basis, basis.vector(QUESTION), Block.GROUP).any()


def test_columns_of_another_process_are_taken_over_if_they_are_any() -> None:
    one, other = first_basis(), first_basis()
    one.admit(QUESTION)
    other.regroup(one.arrays()["groups"])
    np.testing.assert_array_equal(other.vector(QUESTION), one.vector(QUESTION))
    other.admit(extract(Prompt(text="x", tenant="bank")))
    for groups in (np.full(GROUP_BUCKETS, GROUPS, np.int32), np.full(GROUP_BUCKETS, -2), np.zeros(3, np.int32)):
        with pytest.raises(ValueError, match="columns of groups"):
            other.regroup(groups)


def test_the_parity_of_texts_and_their_likeness() -> None:
    """Prompts of one topic point the same way, of two topics apart."""
    same, other = (
        extract(Prompt(text=text)) for text in ("total the numbers seven and nine", "verses about evening wind")
    )
    one = extract(Prompt(text="add the numbers nine and seven"))
    vectors = [block(FITTED, FITTED.vector(f), Block.TEXT) for f in (one, same, other)]
    assert vectors[0] @ vectors[1] > 0.1 > vectors[0] @ vectors[2]


@pytest.mark.parametrize("make", [first_basis, lambda: FITTED], ids=["first", "fitted"])
def test_it_reads_back_from_an_artifact_as_it_was(make: object) -> None:
    basis = make()  # type: ignore[operator]
    again = Basis.from_artifact(Artifact(kind="answers", layout="any", variants=("a",), arrays=basis.arrays()))
    for features in world(20, seed=3).features:
        np.testing.assert_array_equal(again.vector(features), basis.vector(features))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("surface_sd", 0.0),
        ("surface_mean", np.nan),
        ("idf", -1.0),
        ("row", 10**6),
        ("row", -1),
        ("groups", GROUPS),
        ("projection", np.inf),
    ],
)
def test_arrays_out_of_range_are_refused(name: str, value: float) -> None:
    arrays = dict(FITTED.arrays())
    arrays[name] = np.full_like(arrays[name], value)
    with pytest.raises(ArtifactError, match=name):
        Basis.from_artifact(Artifact(kind="answers", layout="any", variants=("a",), arrays=arrays))


@pytest.mark.parametrize("name", ["surface_sd", "surface_mean", "idf", "row", "groups", "projection"])
def test_missing_and_misshapen_arrays_are_refused(name: str) -> None:
    arrays = dict(FITTED.arrays())
    for damaged in ({n: a for n, a in arrays.items() if n != name}, arrays | {name: arrays[name].ravel()[:5]}):
        with pytest.raises(ArtifactError):
            Basis.from_artifact(Artifact(kind="answers", layout="any", variants=("a",), arrays=damaged))
