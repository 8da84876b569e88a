"""A fit is stored as an artifact, read back as it was, and refused once it is damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import ArtifactError
from policies.estimators.artifact import MAX_BYTES, decode, encode
from policies.features.extract import extract
from policies.features.layout import VERSION
from policies.features.types import Prompt
from policies.learner.fit import KIND, LENGTH_PRIOR, QUALITY_PRIOR, Fit, first_fit
from policies.learner.learner import Learner
from policies.learner.posterior import Variances
from policies.training.basis import fit_basis
from tests.policy_strategies import request
from tests.quality_worlds import world

HERE = world(120, seed=0)
FOUND = Variances(
    shared=np.array([0.09, 0.02, 0.03, 0.04]), own=np.array([0.02, 0.01, 0.25, 0.5]), noise=np.array([0.1, 0.2])
)
FIT = Fit(basis=fit_basis(HERE.features), quality=FOUND)
STORED = encode(FIT.to_artifact(variants=("full", "tiny"), facts={"rows": 120}))


def read(data: bytes) -> Fit:
    return Fit.from_artifact(decode(data, kind=KIND, layout=VERSION), hash_="name")


def test_it_reads_back_as_it_was_stored() -> None:
    again = read(STORED)
    assert again.hash == "name"
    for features in HERE.features[:20]:
        np.testing.assert_array_equal(again.basis.vector(features), FIT.basis.vector(features))
    assert again.quality is not None
    np.testing.assert_allclose(again.quality.own, FOUND.own, rtol=1e-6)
    np.testing.assert_allclose(again.quality.shared, FOUND.shared, rtol=1e-6)
    assert again.length is not None
    np.testing.assert_allclose(again.length.own, LENGTH_PRIOR.own, rtol=1e-6)


def test_equal_fits_have_equal_bytes() -> None:
    again = Fit(basis=fit_basis(HERE.features), quality=FOUND)
    assert encode(again.to_artifact(variants=("full", "tiny"), facts={"rows": 120})) == STORED


def test_the_first_fit_can_be_stored_too() -> None:
    again = read(encode(first_fit().to_artifact(variants=("full",), facts={})))
    assert again.quality is not None
    np.testing.assert_allclose(again.quality.shared, QUALITY_PRIOR.shared, rtol=1e-6)
    assert again.basis.text_size == 0


def test_the_largest_fit_is_within_what_an_artifact_may_take() -> None:
    rng = np.random.default_rng(0)
    words = [f"word{n}" for n in range(4000)]
    features = [extract(Prompt(text=" ".join(rng.choice(words, 60)))) for _ in range(250)]
    data = encode(Fit(basis=fit_basis(features)).to_artifact(variants=("full",), facts={}))
    assert MAX_BYTES / 2 < len(data) < MAX_BYTES


@pytest.mark.parametrize("name", ["quality_variances", "length_variances"])
@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, 1e9])
def test_variances_out_of_range_are_refused(name: str, value: float) -> None:
    artifact = FIT.to_artifact(variants=("full",), facts={})
    artifact.arrays[name] = np.full_like(artifact.arrays[name], value)
    with pytest.raises(ArtifactError, match=name):
        Fit.from_artifact(artifact)
    del artifact.arrays[name]
    with pytest.raises(ArtifactError, match=name):
        Fit.from_artifact(artifact)


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=3), st.integers(0, 600))
def test_damaged_bytes_are_refused_or_predict_something_sound(changes: list[tuple[int, int]], cut: int) -> None:
    """The first bytes hold names and shapes; the rest are numbers, of which any in range will do."""
    data = bytearray(STORED)
    for place, byte in changes:
        data[place] = byte
    for damaged in (bytes(data), STORED[:cut], STORED[: len(STORED) - 1 - cut]):
        try:
            fit = read(damaged)
        except ArtifactError:
            continue
        z = fit.basis.vector(HERE.features[0])
        assert np.isfinite(z).all()
        assert Learner(fit).estimate(request(features=HERE.features[0]), []) == ()
