"""The most that one call to a variant can cost."""

from __future__ import annotations

from backends.types import Variant
from gateway.routing.request import ValidRequest

__all__ = ("most_usd",)


def most_usd(variant: Variant, request: ValidRequest, *, busy_s: float) -> float:
    """US dollars that a call costs at most, which may run for `busy_s` seconds.

    A prompt has at most as many tokens as bytes, and an answer ends at the caller's limit, else at the variant's,
    else at the end of its context.
    """
    length = request.max_completion_tokens or variant.decoding.max_tokens or variant.context_tokens
    tokens = min(length, variant.context_tokens) * request.choices
    return variant.price.cost_usd(prompt_tokens=request.prompt_bytes, completion_tokens=tokens, busy_s=busy_s)
