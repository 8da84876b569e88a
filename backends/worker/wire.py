"""Parts of answers in OpenAI's words: whole answers, stream events, error objects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from backends.protocol import (
    AssistantMessage,
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChunkChoice,
    Completion,
    CompletionChoice,
    Delta,
    ErrorBody,
    ErrorReply,
    FinishReason,
    Timings,
    Usage,
)
from backends.sse import encode_event
from backends.worker.answers import Part
from backends.worker.errors import RequestError
from backends.worker.messages import TokenLogprob

__all__ = ("ChatWriter", "CompletionWriter", "Head", "Writer", "error_reply", "server_error")

_encode = msgspec.json.Encoder().encode


class Head(TypedDict):
    """What every event of an answer repeats."""

    id: str
    created: int
    model: str


class Writer(ABC):
    """Writes the answers to one request, whole or as a stream."""

    def __init__(self, head: Head, *, include_usage: bool) -> None:
        self._head = head
        self._usage: msgspec.UnsetType | None = None if include_usage else msgspec.UNSET

    @abstractmethod
    def whole(self, parts: Sequence[Part], usage: Usage, timings: Timings | UnsetType = UNSET) -> bytes:
        """The answer to a request that does not stream."""

    @abstractmethod
    def event(self, part: Part) -> bytes:
        """Stream events for one part."""

    @abstractmethod
    def usage_event(self, usage: Usage, timings: Timings | UnsetType = UNSET) -> bytes:
        """The last stream event: no choices, the tokens of all of them."""


class ChatWriter(Writer):
    """For `/v1/chat/completions`."""

    def __init__(self, head: Head, *, include_usage: bool) -> None:
        super().__init__(head, include_usage=include_usage)
        self._begun: set[int] = set()

    def whole(self, parts: Sequence[Part], usage: Usage, timings: Timings | UnsetType = UNSET) -> bytes:
        """See `Writer`."""
        choices = [
            ChatChoice(
                index=index,
                message=AssistantMessage(content=text),
                finish_reason=finish,
                logprobs=_chat_logprobs(logprobs),
            )
            for index, text, logprobs, finish in _joined(parts)
        ]
        return _encode(ChatCompletion(**self._head, choices=choices, usage=usage, timings=timings))

    def event(self, part: Part) -> bytes:
        """See `Writer`; the first event of an answer names the role."""
        events = b""
        if part.index not in self._begun:
            self._begun.add(part.index)
            events = self._chunk(ChunkChoice(index=part.index, delta=Delta(role="assistant", content="")))
        return events + self._chunk(
            ChunkChoice(
                index=part.index,
                delta=Delta(content=part.text or None),
                finish_reason=part.finish,
                logprobs=_chat_logprobs(part.logprobs),
            )
        )

    def usage_event(self, usage: Usage, timings: Timings | UnsetType = UNSET) -> bytes:
        """See `Writer`."""
        return encode_event(_encode(ChatChunk(**self._head, choices=[], usage=usage, timings=timings)))

    def _chunk(self, choice: ChunkChoice) -> bytes:
        return encode_event(_encode(ChatChunk(**self._head, choices=[choice], usage=self._usage)))


class CompletionWriter(Writer):
    """For `/v1/completions`."""

    def __init__(self, head: Head, *, include_usage: bool) -> None:
        super().__init__(head, include_usage=include_usage)
        self._offsets: dict[int, int] = {}

    def whole(self, parts: Sequence[Part], usage: Usage, timings: Timings | UnsetType = UNSET) -> bytes:
        """See `Writer`."""
        choices = [
            CompletionChoice(index=i, text=text, finish_reason=finish, logprobs=self._logprobs(i, logprobs))
            for i, text, logprobs, finish in _joined(parts)
        ]
        return _encode(Completion(**self._head, choices=choices, usage=usage, timings=timings))

    def event(self, part: Part) -> bytes:
        """See `Writer`."""
        choice = CompletionChoice(
            index=part.index,
            text=part.text,
            finish_reason=part.finish,
            logprobs=self._logprobs(part.index, part.logprobs),
        )
        return encode_event(_encode(Completion(**self._head, choices=[choice], usage=self._usage)))

    def usage_event(self, usage: Usage, timings: Timings | UnsetType = UNSET) -> bytes:
        """See `Writer`."""
        return encode_event(_encode(Completion(**self._head, choices=[], usage=usage, timings=timings)))

    def _logprobs(self, index: int, logprobs: Sequence[TokenLogprob]) -> dict[str, Any] | None:
        if not logprobs:
            return None
        offsets, at = [], self._offsets.get(index, 0)
        for entry in logprobs:
            offsets.append(at)
            at += len(entry.token)
        self._offsets[index] = at
        return {
            "tokens": [entry.token for entry in logprobs],
            "token_logprobs": [entry.logprob for entry in logprobs],
            "top_logprobs": None,
            "text_offset": offsets,
        }


def error_reply(error: RequestError) -> bytes:
    """The body of an error answer."""
    body = ErrorBody(message=error.message, type=error.error_type, param=error.param, code=error.code)
    return _encode(ErrorReply(error=body))


def server_error(message: str) -> RequestError:
    """Our fault, not the request's."""
    return RequestError(message, status=500, error_type="server_error", code="engine_error")


def _joined(parts: Iterable[Part]) -> list[tuple[int, str, list[TokenLogprob], FinishReason | None]]:
    """Index, text, log probabilities and finish reason of each answer."""
    by_index: dict[int, list[Part]] = {}
    for part in parts:
        by_index.setdefault(part.index, []).append(part)
    return [
        (
            index,
            "".join(part.text for part in of_one),
            [entry for part in of_one for entry in part.logprobs],
            of_one[-1].finish,
        )
        for index, of_one in sorted(by_index.items())
    ]


def _chat_logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, Any] | None:
    if not logprobs:
        return None
    content = [
        {
            "token": entry.token,
            "logprob": entry.logprob,
            # A token that is part of a character has no text of its own.
            "bytes": None if "\ufffd" in entry.token else list(entry.token.encode()),
            "top_logprobs": [],
        }
        for entry in logprobs
    ]
    return {"content": content, "refusal": None}
