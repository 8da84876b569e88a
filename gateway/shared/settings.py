"""The `cache` section: Redis, which replicas share everything through, and the caches kept there."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ("CacheSettings",)

SCHEMES = ("redis://", "rediss://", "unix://", "env:")
Positive = Annotated[float, Meta(gt=0)]


class CacheSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `cache` section: answers given again, and what replicas share."""

    url: str | None = None
    """Redis (`redis://`, `rediss://`, `unix://`) for caches, limits and live load; this process's memory when absent.
    `env:NAME` takes it from the environment."""
    timeout_s: Annotated[float, Meta(gt=0, le=1)] = 0.02
    """Longest wait for one call to Redis; whatever takes longer goes on without it."""
    exact: bool = True
    """Give a kept answer again for the very same request of the same tenant; false switches off every cache of
    answers, the semantic one too."""
    ttl_s: Positive = 3600.0
    """Seconds for which an answer may be given again."""
    max_bytes: Annotated[int, Meta(ge=1024)] = 64 * 1024 * 1024
    """Size of the answers kept in this process's memory."""
    max_entry_bytes: Annotated[int, Meta(ge=1024)] = 256 * 1024
    """A longer answer is not kept."""
    flight_s: Positive = 30.0
    """Longest wait of a request for the answer that an identical one is being made; then it has its own made."""
    embedder: str | None = None
    """The variant that embeds prompts for the semantic cache; without it no tenant has one."""
    embed_s: Annotated[float, Meta(gt=0, le=5)] = 0.1
    """Longest wait for the vector of a prompt; without it the semantic cache is passed by."""

    def __post_init__(self) -> None:
        """Redis has an address."""
        if self.url is not None and not self.url.startswith(SCHEMES):
            raise ValueError(f"cache.url begins with one of: {', '.join(SCHEMES)}")
