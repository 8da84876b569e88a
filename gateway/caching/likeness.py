"""The semantic cache: answers to prompts that mean the same, for tenants that want it.

Only the last message of a chat may be put differently. Everything else (tenant, model, the system prompt and what was
said before, parameters, the form asked for) is the partition, and must be the same.
"""

from __future__ import annotations

from typing import NamedTuple

from backends.errors import BackendError
from backends.protocol import Message
from gateway.caching.keys import partition_key
from gateway.caching.threshold import effective
from gateway.caching.thresholds import Thresholds
from gateway.caching.vectors import Near, Vector, Vectors
from gateway.routing.catalogue import Catalogue
from gateway.routing.embedding import embed
from gateway.routing.exchange import Exchange
from gateway.routing.terms import Terms
from gateway.shared.settings import CacheSettings

__all__ = ("Likeness", "Probe", "alike_enough")


class Probe(NamedTuple):
    """What a prompt is compared by."""

    partition: str
    vector: Vector
    threshold: float


class Likeness:
    """Embeds prompts and finds the nearest. Whatever goes wrong is a miss, within its time."""

    def __init__(
        self, settings: CacheSettings, *, vectors: Vectors, thresholds: Thresholds, catalogue: Catalogue
    ) -> None:
        self._settings = settings
        self._vectors = vectors
        self._thresholds = thresholds
        self._catalogue = catalogue

    async def probe(self, exchange: Exchange, terms: Terms) -> Probe | None:
        """What to compare the prompt by; None where tenant, rule or prompt do not have it, or there is no vector."""
        embedder, wanted = self._settings.embedder, exchange.tenant.semantic_cache
        if embedder is None or wanted is None or terms.likeness == "refused":
            return None
        variant = self._catalogue.view(embedder).variant
        partition = partition_key(exchange.request, embedder=f"{variant.source} {variant.model}")
        text = _last_said(exchange)
        if partition is None or not text:
            return None
        try:
            vector = await embed(self._catalogue, embedder, text, timeout_s=self._settings.embed_s)
        except BackendError:
            return None
        threshold = effective(_least(exchange), raised=await self._thresholds.raised(exchange.tenant.id))
        return Probe(partition, vector, threshold)

    async def nearest(self, probe: Probe) -> list[Near]:
        """Keys of answers to prompts that are alike enough, most alike first."""
        found = await self._vectors.nearest(probe.partition, probe.vector)
        return [(key, min(1.0, alike)) for key, alike in found if alike >= probe.threshold]

    async def add(self, probe: Probe, key: str, *, ttl_s: float) -> None:
        """Have an answer found by this prompt."""
        await self._vectors.add(probe.partition, probe.vector, key, ttl_s=ttl_s)

    async def drop(self, probe: Probe, key: str) -> None:
        """Have an answer that is gone be found no more."""
        await self._vectors.drop(probe.partition, key)


def alike_enough(exchange: Exchange, similarity: float, *, age_s: float) -> bool:
    """Whether the tenant and the caller take a prompt of this similarity, and an answer of this age, for the same."""
    wanted = exchange.tenant.semantic_cache
    return wanted is not None and similarity >= _least(exchange) and 0 <= age_s <= wanted.ttl_s


def _least(exchange: Exchange) -> float:
    """The tenant's threshold, or the caller's where that is stricter."""
    wanted, hint = exchange.tenant.semantic_cache, exchange.request.cache
    assert wanted is not None
    return effective(wanted.threshold, asked=None if hint is None else hint.threshold)


def _last_said(exchange: Exchange) -> str:
    messages: list[Message] = exchange.request.payload["messages"]
    return messages[-1].text
