"""What our routes accept beyond OpenAI's fields: the hints. Strict, so that a misspelt hint is an error."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from backends.protocol import ChatRequest, CompletionRequest, EmbeddingRequest
from gateway.caching.hint import CacheHint
from policies.checks import Checks
from policies.objective import Limits, Ratio, Weights

__all__ = (
    "CacheHint",
    "ChatBody",
    "CompletionBody",
    "EmbeddingBody",
    "FeedbackBody",
    "Metadata",
    "PriorityName",
    "ServiceTier",
)

PriorityName = Literal["speed", "cost", "accuracy", "balanced"]
ServiceTier = Literal["auto", "default", "flex", "priority"]
Metadata = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(max_length=512)]], Meta(max_length=16)
]
"""At most 16 tags, as OpenAI bounds them."""


class ChatBody(ChatRequest, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /v1/chat/completions`."""

    priority: PriorityName | Weights | None = None
    """What matters: a name, or weights on speed, cost and accuracy."""
    slo: Limits | None = None
    """Hard limits of this request."""
    service_tier: ServiceTier | None = None
    """Urgency in the queue."""
    metadata: Metadata | None = None
    """Tags for routing rules and reports."""
    cache: CacheHint | None = None
    """Whether an answer may be given again, and how old or unlike it may be."""
    checks: Checks | None = None
    """How a program can tell whether the answer is right; the scores are logged, the answer is not changed."""
    store: bool | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None


class CompletionBody(CompletionRequest, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /v1/completions`."""

    priority: PriorityName | Weights | None = None
    slo: Limits | None = None
    service_tier: ServiceTier | None = None
    metadata: Metadata | None = None
    cache: CacheHint | None = None
    """Whether an answer may be given again, and how old or unlike it may be."""
    checks: Checks | None = None
    """How a program can tell whether the answer is right; the scores are logged, the answer is not changed."""


class EmbeddingBody(EmbeddingRequest, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /v1/embeddings`."""


class FeedbackBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /v1/feedback`."""

    decision_id: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]*$")]
    """From the `X-Trilemma-Decision` header of the answer."""
    score: Ratio
    """How good the answer was, in [0, 1]."""
    name: Annotated[str, Meta(min_length=1, max_length=64)] = "score"
    """What was judged, where there is more than one thing."""
    comment: Annotated[str, Meta(max_length=4096)] | None = None
