"""The recipe of the embedder."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from backends.builder.build import build, is_built
from backends.builder.embedder import check_pooling
from backends.errors import BuildError
from backends.models.bundled import EMBEDDER_SOURCE
from backends.models.store import Store
from backends.types import Capability
from tests.model_helpers import a_variant


@pytest.mark.models
@pytest.mark.timeout(120)
def test_the_build_is_final_names_its_origin_and_needs_no_checkpoint(model_store: Store) -> None:
    variant = msgspec.structs.replace(
        a_variant("minilm", source="built:minilm"), capabilities=(Capability.EMBEDDINGS,), context_tokens=256
    )
    manifest = build(variant, store=model_store)
    assert is_built(variant, store=model_store)
    assert (manifest.format, manifest.licence, manifest.lineage.parents) == (
        "openvino",
        "Apache-2.0",
        (EMBEDDER_SOURCE,),
    )
    names = {file.path for file in manifest.files}
    assert names == {
        "config.json",
        "tokenizer.json",
        *(f"openvino_{part}.{end}" for part in ("model", "tokenizer") for end in ("xml", "bin")),
    }


@pytest.mark.parametrize(
    ("modes", "says"),
    [
        ({"pooling_mode_cls_token": True}, "pooling_mode_cls_token, expected the mean"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "pooling_mode_max_tokens, expected"),
        ({}, "by nothing stated, expected"),
    ],
)
def test_a_checkpoint_that_is_pooled_otherwise_is_refused(tmp_path: Path, modes: dict[str, bool], says: str) -> None:
    (tmp_path / "1_Pooling").mkdir()
    stated = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": False, **modes}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(stated))
    with pytest.raises(BuildError, match=says):
        check_pooling(tmp_path)
