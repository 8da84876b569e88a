"""What makes two requests the same: everything that changes the answer, and whose they are.

How an answer is delivered (stream or whole), who pays attention to it (tags, `user`), and what it has to keep
(priority, limits, urgency) change nothing of it. Object keys are sorted, numbers are what the parser made of them. A
schema is the exception: guided decoding follows the order of its properties.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from backends.protocol import Message
from gateway.routing.request import Route, ValidRequest

__all__ = ("PREFIX", "exact_key", "partition_key")

PREFIX = "trilemma:cache"

_VERSION = "1"
_sorted = msgspec.json.Encoder(order="sorted")
_as_given = msgspec.json.Encoder()


def exact_key(request: ValidRequest) -> str:
    """Names the answer to this request. No two tenants share one: theirs is in the name, and in what it digests."""
    return f"{PREFIX}:{request.tenant}:exact:{_digest(request, request.payload)}"


def partition_key(request: ValidRequest, *, embedder: str) -> str | None:
    """Names the requests that differ at most in how their last message is put, by one embedder's vectors.

    None where the last message is not one that a user wrote.
    """
    if request.route is not Route.CHAT:
        return None
    *before, last = request.payload["messages"]
    if last.role != "user":
        return None
    rest = request.payload | {"messages": [*before, Message(role="user", name=last.name)]}
    return f"{PREFIX}:{request.tenant}:near:{_digest(request, rest, embedder)}"


def _digest(request: ValidRequest, payload: dict[str, Any], *more: str) -> str:
    told = dict(payload)
    form = told.pop("response_format", None)
    canonical = _sorted.encode([_VERSION, *more, request.tenant, request.route, request.model, told])
    return hashlib.sha256(canonical + b"\0" + _as_given.encode(form)).hexdigest()
