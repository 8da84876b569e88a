"""The OpenAI wire format: requests as callers send them, answers as variants give them.

Field names follow the public API reference. Requests reject unknown fields so that a misspelt parameter is an
error that names it; answers tolerate them, because servers add their own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = (
    "ChatChoice",
    "ChatChunk",
    "ChatCompletion",
    "ChatRequest",
    "ChunkChoice",
    "Completion",
    "CompletionChoice",
    "CompletionRequest",
    "ContentPart",
    "Delta",
    "Embedding",
    "EmbeddingReply",
    "EmbeddingRequest",
    "EmbeddingUsage",
    "ErrorBody",
    "ErrorReply",
    "FinishReason",
    "Message",
    "ResponseFormat",
    "SamplingFields",
    "StreamOptions",
    "Timings",
    "Usage",
)

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error"]
Stop = str | Annotated[list[str], Meta(max_length=16)] | None


class _Request(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all requests: strict, immutable, encoded without the defaults."""


class _Reply(msgspec.Struct, kw_only=True, omit_defaults=False):
    """Base of all answers: unknown fields are ignored."""


class ContentPart(msgspec.Struct, frozen=True):
    """One part of a message's content; only text parts are served."""

    type: Literal["text"]
    text: str


class Message(_Request, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None

    @property
    def text(self) -> str:
        """The content as one string, text parts joined."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(_Request, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a streamed answer."""

    include_usage: bool = False
    include_obfuscation: bool = False


class ResponseFormat(_Request, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Asked-for shape of the answer."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: dict[str, Any] | None = None


class SamplingFields(_Request, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Parameters that chat and text completions share."""

    model: Annotated[str, Meta(min_length=1, max_length=256)] = "auto"
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=16)] | None = None
    stop: Stop = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    user: str | None = None


class ChatRequest(SamplingFields, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /v1/chat/completions`."""

    messages: Annotated[list[Message], Meta(min_length=1, max_length=2048)]
    max_completion_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


class CompletionRequest(SamplingFields, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /v1/completions`."""

    prompt: str | Annotated[list[str], Meta(min_length=1, max_length=128)]
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    best_of: Annotated[int, Meta(ge=1, le=16)] | None = None


class EmbeddingRequest(_Request, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Body of `POST /v1/embeddings`; text only, for token numbers mean nothing to another vocabulary."""

    input: str | Annotated[list[str], Meta(min_length=1, max_length=2048)]
    model: Annotated[str, Meta(min_length=1, max_length=256)] = "auto"
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Meta(ge=1, le=65_536)] | None = None
    user: str | None = None

    @property
    def texts(self) -> list[str]:
        """The inputs, in order."""
        return [self.input] if isinstance(self.input, str) else self.input


class Usage(_Reply, kw_only=True):
    """Tokens of one answer."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0


class Timings(msgspec.Struct, kw_only=True, frozen=True):
    """What a worker spent its time on, one after the other: told as `timings` to whoever sends a `traceparent`."""

    queue_s: float = 0.0
    """Waiting for the engine to take the request up."""
    prefill_s: float = 0.0
    """Reading the prompt, up to the first token."""
    decode_s: float = 0.0
    """Making the other tokens."""


class AssistantMessage(_Reply, kw_only=True):
    """What the model said."""

    role: str = "assistant"
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | UnsetType = UNSET


class ChatChoice(_Reply, kw_only=True):
    """One of the `n` answers."""

    index: int = 0
    message: AssistantMessage
    finish_reason: FinishReason | None = None
    logprobs: dict[str, Any] | None = None


class ChatCompletion(_Reply, kw_only=True):
    """A whole chat answer."""

    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    object: str = "chat.completion"
    usage: Usage | None = None
    system_fingerprint: str | None = None
    timings: Timings | UnsetType = UNSET


class Delta(_Reply, kw_only=True, omit_defaults=True):
    """What a chunk adds."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class ChunkChoice(_Reply, kw_only=True):
    """One answer's part of a chunk."""

    index: int = 0
    delta: Delta = msgspec.field(default_factory=Delta)
    finish_reason: FinishReason | None = None
    logprobs: dict[str, Any] | None = None


class ChatChunk(_Reply, kw_only=True):
    """One event of a streamed chat answer; the last one has no choices and the usage."""

    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    object: str = "chat.completion.chunk"
    usage: Usage | UnsetType | None = UNSET
    timings: Timings | UnsetType = UNSET


class CompletionChoice(_Reply, kw_only=True):
    """One of the answers of a text completion, whole or in part."""

    index: int = 0
    text: str = ""
    finish_reason: FinishReason | None = None
    logprobs: dict[str, Any] | None = None


class Completion(_Reply, kw_only=True):
    """A text completion, whole or one event of a stream."""

    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    object: str = "text_completion"
    usage: Usage | UnsetType | None = UNSET
    timings: Timings | UnsetType = UNSET


class Embedding(_Reply, kw_only=True):
    """One vector."""

    index: int = 0
    embedding: list[float] | str
    """Numbers, or base64 of 32-bit floats, least significant byte first."""
    object: str = "embedding"


class EmbeddingUsage(_Reply, kw_only=True):
    """Tokens of all inputs."""

    prompt_tokens: int = 0
    total_tokens: int = 0


class EmbeddingReply(_Reply, kw_only=True):
    """The vectors of a request, in the order of its inputs."""

    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
    object: str = "list"


class ErrorBody(_Reply, kw_only=True):
    """The OpenAI error object."""

    message: str = ""
    type: str = "server_error"
    param: str | None = None
    code: str | int | None = None


class ErrorReply(_Reply, kw_only=True):
    """An error answer, also sent as an event inside a stream."""

    error: ErrorBody
