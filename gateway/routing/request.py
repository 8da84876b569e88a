"""A request after validation: all that routing, calling and logging need, and nothing of the wire."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from gateway.caching.hint import CacheHint
from policies.checks import Check, SchemaCheck
from policies.objective import Limits, Weights

__all__ = ("DEFAULT_PRIORITY", "Route", "ValidRequest")

DEFAULT_PRIORITY = "balanced"
"""Of a request that states none."""

BYTES_PER_TOKEN = 4.0
"""English text in common vocabularies; only for estimates, the worker counts exactly."""

MAX_BYTES_PER_TOKEN = 32
"""Long runs of spaces or one letter come near this; beyond it a prompt is certainly longer than it seems."""


class Route(StrEnum):
    """The kind of request, and the path it has at every variant."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDINGS = "embeddings"

    @property
    def path(self) -> str:
        """The path at an OpenAI-compatible server, below its base URL."""
        return _PATHS[self]


_PATHS = {
    Route.CHAT: "/v1/chat/completions",
    Route.COMPLETION: "/v1/completions",
    Route.EMBEDDINGS: "/v1/embeddings",
}


class ValidRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One validated request."""

    route: Route
    model: str
    """`auto`, an alias, or a variant's name."""
    payload: dict[str, Any]
    """OpenAI fields for the variant, without `model` and the streaming fields."""
    stream: bool
    include_usage: bool
    choices: int
    """Answers asked for."""
    priority: str | Weights | None
    limits: Limits
    service_tier: str | None
    """Urgency, as its tenant may have it; None where the request says nothing, which is `default`."""
    tags: dict[str, str]
    """`metadata` of the body over the `X-Tags` header."""
    prompt: str
    """What was written, messages joined by line breaks. Features are made of it; it is never logged."""
    turns: int
    """Messages."""
    prompt_bytes: int
    """UTF-8 length of the prompt, an upper bound of its tokens for a byte-level vocabulary."""
    max_completion_tokens: int | None
    needs: frozenset[str]
    """Capabilities the answer requires."""
    explain: bool
    """Whether the caller asked for the decision in the body."""
    tenant: str = "default"
    """Who asks."""
    cache: CacheHint | None = None
    """What it says about answers given again; None where it says nothing."""
    checks: tuple[Check, ...] = ()
    """What the caller has the answer held against."""
    form: SchemaCheck | None = None
    """The shape that `response_format` asks for, where it can be checked."""

    @property
    def hint(self) -> str | None:
        """The named priority; None where the request gave weights or nothing."""
        return self.priority if isinstance(self.priority, str) else None

    @property
    def decided_by(self) -> str | None:
        """The named priority whose weights it is decided by; None where it gave weights of its own."""
        return self.hint if self.priority is not None else DEFAULT_PRIORITY

    @property
    def all_checks(self) -> tuple[Check, ...]:
        """Everything its answer can be held against."""
        return self.checks if self.form is None else (*self.checks, self.form)

    @property
    def wants_logprobs(self) -> bool:
        """Whether the caller asked for the tokens' log-probabilities."""
        asked = self.payload.get("logprobs")
        return bool(asked) if self.route is Route.CHAT else asked is not None

    @property
    def min_prompt_tokens(self) -> int:
        """What the prompt has at least, no vocabulary having longer tokens on average."""
        return max(1, self.prompt_bytes // MAX_BYTES_PER_TOKEN)

    @property
    def prompt_tokens(self) -> int:
        """Estimated length of the prompt."""
        return max(1, round(self.prompt_bytes / BYTES_PER_TOKEN))
