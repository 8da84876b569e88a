"""The most that one call to a variant can cost, and the time it is given for that."""

from __future__ import annotations

import msgspec

from backends.types import Variant
from gateway.routing.request import Route, ValidRequest
from gateway.tenants.types import Tenant

__all__ = ("LEAST_S", "Bound", "bound")

LEAST_S = 60.0
"""A call that pays by the second is held money for so many seconds at least."""

FACTOR = 8.0
"""And for so many times the upper quantile of its predicted latency: far more than any call takes that goes well."""

MESSAGE_TOKENS = 32
"""What a chat template writes around a message, at most."""

TEMPLATE_TOKENS = 512
"""What it writes before the first one, such as a system prompt of its own, at most."""

_encode = msgspec.json.Encoder().encode


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """What a call may take, in money and in time; the one holds only if the other is kept to."""

    usd: float
    """US dollars at most."""
    seconds: float
    """It is to be ended after so many, those of starting the variant not counted."""


def bound(
    tenant: Tenant, variant: Variant, request: ValidRequest, *, predicted_s: float | None, remaining_s: float
) -> Bound:
    """The bound of a call. Without a budget only time is left to bound.

    An answer ends at the caller's limit, else at the variant's, else at the end of its context. A server that counts
    more than that is paid for all the same: what it says is the truth for the account, budget or not.

    Args:
        tenant: Who pays.
        variant: That is called; its price is by token or by second.
        request: What it is asked.
        predicted_s: Upper quantile of its latency; None where nothing was predicted.
        remaining_s: Until the request's deadline.
    """
    if tenant.budget is None:
        return Bound(usd=0.0, seconds=remaining_s)
    seconds = remaining_s
    if variant.price.compute_per_hour_usd is not None and predicted_s is not None:
        seconds = min(seconds, max(LEAST_S, FACTOR * predicted_s))
    prompt, completion = _most_tokens(variant, request)
    usd = variant.price.cost_usd(prompt_tokens=prompt, completion_tokens=completion, busy_s=seconds)
    return Bound(usd=usd, seconds=seconds)


def _most_tokens(variant: Variant, request: ValidRequest) -> tuple[int, int]:
    """Of the prompt, and of all answers to it.

    A token is at least one byte of the text, also of tools and schemas; and nothing exceeds the context, which each
    prompt of a list has for itself.
    """
    limit = request.max_completion_tokens
    length = (variant.decoding.max_tokens or variant.context_tokens) if limit is None else limit
    written = max(request.prompt_bytes, len(_encode(request.payload)))
    prompts = 1 if request.route is Route.CHAT else request.turns
    prompt = min(written + MESSAGE_TOKENS * request.turns + TEMPLATE_TOKENS, variant.context_tokens * prompts)
    return prompt, min(length, variant.context_tokens) * request.choices
