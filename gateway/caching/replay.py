"""A kept answer, told again as a fresh one would be: whole, or as a stream; made either way, given either way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.caching.stored import Said, StoredAnswer
from gateway.routing.attempts import Call
from gateway.routing.exchange import Exchange
from gateway.routing.request import Route

__all__ = ("replayed",)

Event = dict[str, Any]


def replayed(answer: StoredAnswer, exchange: Exchange) -> Iterator[Event]:
    """The one event of a whole answer, or those of a stream; the exchange says who gave it, and costs nothing."""
    exchange.call = Call(variant=answer.variant, usage=answer.usage, finish_reason=answer.said[-1].finish_reason)
    exchange.quality = answer.quality
    if not exchange.request.stream:
        choices = [_whole(said, exchange.request.route) for said in answer.said]
        yield _event(answer, exchange, choices) | {"usage": msgspec.to_builtins(answer.usage)}
        return
    exchange.first_token()
    for said in answer.said:
        for choice in _chunks(said, exchange.request.route):
            yield _event(answer, exchange, [choice])


def _event(answer: StoredAnswer, exchange: Exchange, choices: list[Event]) -> Event:
    request = exchange.request
    kind = "chat.completion.chunk" if request.stream else "chat.completion"
    event: Event = {
        "id": exchange.request_id,
        "object": kind if request.route is Route.CHAT else "text_completion",
        "created": exchange.created_s,
        "model": answer.variant,
        "choices": choices,
    }
    if request.service_tier is not None:
        event["service_tier"] = request.service_tier
    if answer.fingerprint is not None:
        event["system_fingerprint"] = answer.fingerprint
    return event


def _whole(said: Said, route: Route) -> Event:
    told: Event = {"index": said.index, "finish_reason": said.finish_reason, "logprobs": None}
    if route is Route.COMPLETION:
        return told | {"text": said.texts.get("text", "")}
    return told | {"message": {"role": "assistant", "content": None} | said.texts}


def _chunks(said: Said, route: Route) -> Iterator[Event]:
    """All that was said in one chunk, and its end in another."""
    told: Event = {"index": said.index, "finish_reason": None}
    if route is Route.COMPLETION:
        yield told | {"text": said.texts.get("text", "")}
        yield told | {"text": "", "finish_reason": said.finish_reason}
    else:
        yield told | {"delta": {"role": "assistant"} | said.texts}
        yield told | {"delta": {}, "finish_reason": said.finish_reason}
