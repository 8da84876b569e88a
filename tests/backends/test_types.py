"""What a variant may be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from backends.types import Variant

LOCAL = {"name": "v", "kind": "full", "engine": "openvino", "source": "built:x", "price": {"compute_per_hour_usd": 1}}
REMOTE = LOCAL | {"kind": "remote", "engine": "openai", "source": "http://127.0.0.1:1"}


@pytest.mark.parametrize(
    ("fields", "embeds_only"),
    [
        (LOCAL | {"capabilities": ["embeddings"]}, True),
        (REMOTE | {"capabilities": ["embeddings"]}, True),
        (REMOTE | {"capabilities": ["embeddings", "tools"]}, False),
        (REMOTE | {"capabilities": []}, False),
        (LOCAL, False),
    ],
)
def test_a_variant_whose_one_capability_is_embeddings_generates_nothing(
    fields: dict[str, Any], embeds_only: bool
) -> None:
    assert msgspec.convert(fields, Variant).embeds_only is embeds_only


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (LOCAL | {"capabilities": ["embeddings", "logprobs"]}, "embeds or generates"),
        (LOCAL | {"capabilities": ["embeddings"], "engine": "transformers"}, "needs engine `openvino`"),
    ],
)
def test_a_local_variant_that_no_worker_could_run_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=says):
        msgspec.convert(fields, Variant)
