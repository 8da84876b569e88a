"""One call to one variant: its answer, or the events of its stream, decoded and noted in the exchange."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

import msgspec

from backends.client import VariantClient
from backends.errors import ProtocolError
from backends.protocol import Timings, Usage
from backends.types import Decoding, Engine, Variant
from gateway.routing.attempts import Call
from gateway.routing.exchange import Exchange
from gateway.routing.patience import Patience
from gateway.routing.request import Route, ValidRequest

__all__ = ("Event", "LogProbs", "encode_body", "onward", "streamed", "whole")

Event = dict[str, Any]
"""One decoded answer or stream event of a variant; unknown fields of remote servers are kept."""

LogProbs = Literal["as_asked", "added"]
"""Whether the tokens' log-probabilities are told where the caller asked for them, or also for our own use."""

_decoder = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()


def encode_body(
    request: ValidRequest,
    client: VariantClient,
    variant: Variant,
    *,
    stream: bool,
    logprobs: LogProbs = "as_asked",
) -> bytes:
    """The request for the variant. Our workers know their own decoding; a remote server is told what it is."""
    payload: dict[str, Any] = {"model": client.endpoint.model, **request.payload}
    if logprobs == "added":
        # Of the chosen tokens only: chat switches them on, a text completion counts the alternatives.
        payload["logprobs"] = True if request.route is Route.CHAT else 0
    if variant.engine is Engine.OPENAI:
        _settle_decoding(payload, variant.decoding)
    if stream:
        payload |= {"stream": True, "stream_options": {"include_usage": True}}
    return _encoder.encode(payload)


def _settle_decoding(payload: dict[str, Any], decoding: Decoding) -> None:
    """Fill in the variant's own decoding where the caller said nothing."""
    for name in ("temperature", "top_p"):
        if (value := getattr(decoding, name)) is not None:
            payload.setdefault(name, value)
    if decoding.max_tokens is not None and "max_completion_tokens" not in payload:
        payload.setdefault("max_tokens", decoding.max_tokens)


async def whole(
    exchange: Exchange, call: Call, client: VariantClient, body: bytes, *, patience: Patience
) -> AsyncGenerator[Event, None]:
    """The one answer of a call that does not stream.

    Raises:
        BackendError: The call failed, or the answer is not complete.
    """
    path = exchange.request.route.path
    with exchange.stage("hedge" if call.role == "hedge" else "upstream", within=call.span):
        async with patience.first():
            reply = _decode(
                await client.request(path, body, timeouts=patience.timeouts, headers=onward(exchange, call))
            )
    choices = reply["choices"]
    if not choices or any(choice.get("finish_reason") is None for choice in choices):
        raise ProtocolError("the answer has no finished choices")
    _note(exchange, call, reply)
    yield reply


async def streamed(
    exchange: Exchange, call: Call, client: VariantClient, body: bytes, *, patience: Patience
) -> AsyncGenerator[Event, None]:
    """Events of a stream; those before the first with content are held back until it has come.

    Raises:
        BackendError: The call failed, or was cut before the answer was complete.
    """
    held: list[Event] = []
    async with aclosing(_events(exchange, call, client, body, patience=patience)) as events:
        with exchange.stage("hedge" if call.role == "hedge" else "first_token", within=call.span):
            async with patience.first():
                async for event in events:
                    held.append(event)
                    if _has_content(event):
                        exchange.first_token()
                        break
                else:
                    raise ProtocolError("the stream ended without any content")
        with exchange.stage("generate", within=call.span):
            for event in held:
                yield event
            async for event in events:
                yield event


async def _events(
    exchange: Exchange, call: Call, client: VariantClient, body: bytes, *, patience: Patience
) -> AsyncGenerator[Event, None]:
    path, choices, headers = exchange.request.route.path, exchange.request.choices, onward(exchange, call)
    stream = await client.stream(path, body, choices=choices, timeouts=patience.timeouts, headers=headers)
    async with stream:
        async for data in stream:
            event = _decode(data)
            _note(exchange, call, event)
            yield event


def onward(exchange: Exchange, call: Call) -> dict[str, str]:
    """Headers by which the variant's own trace becomes a part of the call."""
    return {} if call.span is None else exchange.timeline.onward(call.span)


def _decode(data: bytes) -> Event:
    try:
        event = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"the variant sent what is not a JSON object: {error}") from None
    if not isinstance(event.get("choices"), list):
        raise ProtocolError("the variant sent an object without choices")
    return event


def _note(exchange: Exchange, call: Call, event: Event) -> None:
    """Keep what comes by: confidence, finish reason, usage; until the usage, each event with text is one token."""
    call.confidence.add(event)
    if (told := event.pop("timings", None)) is not None:
        with contextlib.suppress(msgspec.ValidationError):  # Other servers have timings of their own kind.
            call.timings = msgspec.convert(told, type=Timings)
    for choice in event["choices"]:
        if reason := choice.get("finish_reason"):
            call.finish_reason = reason
    if usage := event.get("usage"):
        try:
            call.usage = msgspec.convert(usage, type=Usage)
        except msgspec.ValidationError as error:
            raise ProtocolError(f"the usage cannot be read: {error}") from None
    elif any(_has_text(choice) for choice in event["choices"]):
        # An answer that is cut is paid for too, and only a whole one ends with its usage.
        prompt, completion = exchange.request.prompt_tokens, call.usage.completion_tokens + 1
        call.usage = Usage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)


def _has_content(event: Event) -> bool:
    """Whether an event holds something a caller could not be given twice."""
    return any(choice.get("finish_reason") or _has_text(choice) for choice in event["choices"])


def _has_text(choice: Event) -> bool:
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    return isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role")
