"""What a request may have to do with the caches: whether it may read an answer, and whether its own may be kept."""

from __future__ import annotations

from enum import Enum

from backends.types import Decoding
from gateway.caching.stored import StoredAnswer
from gateway.routing.exchange import Exchange
from gateway.routing.request import ValidRequest
from gateway.routing.terms import Terms

__all__ = ("Use", "accepted", "keepable", "use_of")

_UNREPEATABLE = ("tools", "tool_choice", "logprobs", "top_logprobs")
"""Fields whose answers are more than text."""


class Use(Enum):
    """How a request uses the caches."""

    FULL = "full"
    """Reads, and keeps what it had to have made."""
    REFRESH = "refresh"
    """Has an answer made, and keeps it."""
    NONE = "none"
    """Neither reads nor keeps."""


def use_of(request: ValidRequest, decodings: list[Decoding]) -> Use:
    """How a request uses the caches, given how those who may answer decode where it says nothing.

    A request whose answer would be drawn anew each time must ask for the cache itself.
    """
    hint, payload = request.cache, request.payload
    if hint is not None and hint.mode == "no-store":
        return Use.NONE
    if request.needs & {"tools", "logprobs"} or any(payload.get(name) is not None for name in _UNREPEATABLE):
        return Use.NONE
    if hint is not None and hint.mode == "no-cache":
        return Use.REFRESH if _repeatable(payload.get("temperature"), payload.get("seed"), decodings) else Use.NONE
    if hint is None and not _repeatable(payload.get("temperature"), payload.get("seed"), decodings):
        return Use.NONE
    return Use.FULL


def _repeatable(temperature: float | None, seed: int | None, decodings: list[Decoding]) -> bool:
    """Whether the same request has the same answer: decoded greedily, or drawn from a stated seed."""
    if seed is not None or temperature is not None:
        return seed is not None or temperature == 0
    return all(decoding.strategy != "sample" or decoding.temperature == 0 for decoding in decodings)


def accepted(answer: StoredAnswer, exchange: Exchange, terms: Terms) -> bool:
    """Whether a kept answer may be given to this request: its tenant's own, good enough, and not too old."""
    hint = exchange.request.cache
    if answer.tenant != exchange.tenant.id:
        return False
    if hint is not None and hint.ttl_s is not None:
        age_s = exchange.clock.wall_s() - answer.made_at_s
        if not 0 <= age_s <= hint.ttl_s:
            return False
    return terms.accept(
        variant=answer.variant, quality=answer.quality, quality_se=answer.quality_se, accuracy=answer.accuracy
    )


def keepable(exchange: Exchange) -> bool:
    """Whether an answer stands for what this request would be given again.

    One that was given to learn from it, in place of a variant that failed, or by a decision without estimates is for
    this moment only.
    """
    decision = exchange.decision
    usual = decision is not None and not decision.explored and not decision.fallback_used
    return usual and exchange.call.role != "fallback"
