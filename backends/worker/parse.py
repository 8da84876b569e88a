"""From the bytes of a request to what the engine is asked for."""

from __future__ import annotations

import re
import secrets
from typing import TypeVar

import msgspec

from backends.protocol import ChatRequest, CompletionRequest, EmbeddingRequest, ResponseFormat, SamplingFields
from backends.types import Decoding
from backends.worker.errors import RequestError
from backends.worker.messages import Sampling, Turn
from backends.worker.schema import ANY_OBJECT, checked_schema

__all__ = ("Plan", "decode", "plan_chat", "plan_completion")

_T = TypeVar("_T", ChatRequest, CompletionRequest, EmbeddingRequest)
_chat_decoder = msgspec.json.Decoder(ChatRequest)
_completion_decoder = msgspec.json.Decoder(CompletionRequest)
_PATH = re.compile(r"`\$\.?(.*?)`")
_UNKNOWN_FIELD = re.compile(r"unknown field `(.*?)`")
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is well formed."""

    prompts: list[str | list[Turn]]
    """Each gets `answers` answers."""
    answers: int
    sampling: Sampling
    stops: list[str]
    stream: bool
    include_usage: bool
    echo: bool = False
    """Put the prompt in front of the answer's text."""
    traced: bool = False
    """Tell what the time went to: the caller's request is part of a trace."""


def decode(body: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
    """Read a request strictly.

    Raises:
        RequestError: Names the field at fault.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RequestError(str(error), param=_param(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"the body is not valid JSON: {error}") from error


def plan_chat(body: bytes, decoding: Decoding) -> Plan:
    """Read the body of `POST /v1/chat/completions`; `decoding` is used where it says nothing.

    Raises:
        RequestError: It is malformed, or asks for what no engine here can do.
    """
    request = decode(body, _chat_decoder)
    if request.tools:
        raise RequestError("tools are not available here", param="tools")
    if request.tool_choice not in (None, "none", "auto"):
        raise RequestError("tools are not available here", param="tool_choice")
    if request.top_logprobs:
        raise RequestError(
            "only the chosen token's probability is available: top_logprobs is 0", param="top_logprobs"
        )
    max_tokens = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    return _plan(
        request,
        decoding,
        prompts=[[_turn(request, i) for i in range(len(request.messages))]],
        max_tokens=max_tokens,
        logprobs=bool(request.logprobs),
        json_schema=_schema(request.response_format),
    )


def plan_completion(body: bytes, decoding: Decoding) -> Plan:
    """Read the body of `POST /v1/completions`; `decoding` is used where it says nothing.

    Raises:
        RequestError: It is malformed, or asks for what no engine here can do.
    """
    request = decode(body, _completion_decoder)
    if request.suffix:
        raise RequestError("text cannot be filled in before a suffix", param="suffix")
    if request.best_of not in (None, request.n or 1):
        raise RequestError("best_of must equal n", param="best_of")
    if request.logprobs:
        raise RequestError("only the chosen token's probability is available: logprobs is 0", param="logprobs")
    if request.echo and request.logprobs is not None:
        raise RequestError("the prompt's probabilities are not available: echo without logprobs", param="logprobs")
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    if not all(prompts):
        raise RequestError("the prompt is empty", param="prompt")
    return _plan(
        request,
        decoding,
        prompts=list(prompts),
        max_tokens=request.max_tokens if request.max_tokens is not None else 16,
        logprobs=request.logprobs is not None,
        echo=bool(request.echo),
    )


def _plan(
    request: SamplingFields,
    decoding: Decoding,
    *,
    prompts: list[str | list[Turn]],
    max_tokens: int | None,
    logprobs: bool,
    json_schema: str | None = None,
    echo: bool = False,
) -> Plan:
    if request.logit_bias:
        raise RequestError("logit_bias is not available here", param="logit_bias")
    stops = [request.stop] if isinstance(request.stop, str) else request.stop or []
    return Plan(
        prompts=prompts,
        answers=request.n or 1,
        sampling=Sampling(
            max_tokens=max_tokens,
            temperature=_first(request.temperature, decoding.temperature),
            top_p=_first(request.top_p, decoding.top_p),
            seed=secrets.randbits(63) if request.seed is None else request.seed % 2**63,
            presence_penalty=request.presence_penalty or 0.0,
            frequency_penalty=request.frequency_penalty or 0.0,
            logprobs=logprobs,
            json_schema=json_schema,
        ),
        stops=[stop for stop in stops if stop],
        stream=bool(request.stream),
        include_usage=request.stream_options is not None and request.stream_options.include_usage,
        echo=echo,
    )


def _first(*values: float | None) -> float:
    return next((value for value in values if value is not None), 1.0)


def _turn(request: ChatRequest, index: int) -> Turn:
    message = request.messages[index]
    if message.role not in _ROLES or message.tool_calls:
        raise RequestError("tools are not available here", param=f"messages[{index}]")
    return Turn(role=_ROLES[message.role], content=message.text)  # type: ignore[arg-type]


def _schema(wanted: ResponseFormat | None) -> str | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return ANY_OBJECT
    schema = (wanted.json_schema or {}).get("schema")
    if not isinstance(schema, dict):
        raise RequestError("a schema object is missing", param="response_format.json_schema.schema")
    return checked_schema(schema, param="response_format.json_schema.schema")


def _param(message: str) -> str | None:
    """The path of the field a validation message is about."""
    path = _PATH.search(message)
    field = _UNKNOWN_FIELD.search(message)
    parts = [match.group(1) for match in (path, field) if match is not None]
    return ".".join(part for part in parts if part) or None
