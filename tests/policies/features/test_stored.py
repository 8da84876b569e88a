"""What the log keeps of features is enough to fit on, and cannot be anything else."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import FeaturesError
from policies.features.extract import extract
from policies.features.stored import from_stored, to_stored
from policies.features.types import Prompt

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.text(max_size=600))
def test_what_was_stored_is_read_back(text: str) -> None:
    features = extract(Prompt(text=text, tags={"a": "b"}))
    back = from_stored(json.loads(json.dumps(to_stored(features))))
    assert (back.grams == features.grams).all()
    assert (back.counts == np.minimum(features.counts, 255)).all()
    assert np.allclose(back.surface, features.surface, atol=1e-5)
    assert (back.groups == features.groups).all()
    assert back.language == features.language


@given(st.sampled_from(["grams", "surface", "groups", "language"]), json_values)
def test_damaged_features_are_refused_or_harmless(field: str, value: Any) -> None:
    stored = to_stored(extract(Prompt(text="some text"))) | {field: value}
    try:
        features = from_stored(stored)
    except FeaturesError:
        return
    assert features.grams.shape == features.counts.shape


def test_a_bomb_is_not_inflated() -> None:
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(bytes(50_000_000))).decode()
    with pytest.raises(FeaturesError, match="wrong size"):
        from_stored(to_stored(extract(Prompt(text="x"))) | {"grams": bomb})


def test_two_thousand_characters_are_kept_in_less_than_six_kilobytes() -> None:
    words = np.random.default_rng(0).choice([f"word{i}" for i in range(500)], size=330)
    assert len(json.dumps(to_stored(extract(Prompt(text=" ".join(words)[:2000]))))) < 6000
