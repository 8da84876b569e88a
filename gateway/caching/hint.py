"""What a request says about the caches: the `cache` field of its body."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from policies.objective import Ratio

__all__ = ("CacheHint",)


class CacheHint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a request wants to be cached. It may only tighten what its tenant is allowed."""

    mode: Literal["default", "no-cache", "no-store"] = "default"
    """`default` also keeps an answer that was sampled, `no-cache` has a new one made and kept, `no-store` neither
    reads nor keeps."""
    ttl_s: Annotated[float, Meta(gt=0)] | None = None
    """Seconds that an answer may be old, and for which a new one is kept."""
    threshold: Ratio | None = None
    """Least cosine similarity of a prompt that counts as the same; below the tenant's it changes nothing."""
