"""`POST /v1/chat/completions` and `/v1/completions`: one request in, one answer or one stream out."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import Headers, State
from litestar.di import NamedDependency

from backends.sse import DONE, encode_event
from gateway.api.access import needs, principal
from gateway.api.beginning import taken_up
from gateway.api.body import body_of
from gateway.api.ending import carried_out, ending_of
from gateway.api.event_stream import EventStreamResponse
from gateway.api.headers import response_headers
from gateway.api.openapi import documents
from gateway.api.parse import parse_chat, parse_completion
from gateway.api.wire import ChatBody, CompletionBody
from gateway.decisions.types import Ending
from gateway.errors import ApiError, InternalError
from gateway.learning.transcript import Transcript
from gateway.routing.call import Event
from gateway.routing.exchange import Exchange
from gateway.routing.explanation import explanation
from gateway.routing.request import ValidRequest
from gateway.services import Services
from gateway.telemetry.scope import timeline_of
from gateway.tenants.clamp import clamped
from gateway.tenants.types import Role

__all__ = ("chat_completions", "completions", "generate")

logger = logging.getLogger(__name__)

Parse = Callable[[bytes, Headers], ValidRequest]

_encoder = msgspec.json.Encoder()


@post("/v1/chat/completions", opt=documents(ChatBody, "A chat answer, whole or as a stream.") | needs(Role.CALLER))
async def chat_completions(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[Any]:
    """Answer a conversation."""
    return await generate(request, services, parse_chat)


@post(
    "/v1/completions", opt=documents(CompletionBody, "A continued text, whole or as a stream.") | needs(Role.CALLER)
)
async def completions(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[Any]:
    """Continue a text."""
    return await generate(request, services, parse_completion)


async def generate(request: Request[Any, Any, State], services: Services, parse: Parse) -> Response[Any]:
    """Read a request, and answer it; `parse` says what its body means.

    Raises:
        ApiError: There is no answer, or the request is none.
    """
    tenant, timeline = principal(request).tenant, timeline_of(request.scope)
    timeline.until_now("http")
    services.limiter.turn_away(tenant)
    with timeline.stage("body"):
        body = await body_of(request)
    with timeline.stage("parse"):
        valid = clamped(parse(body, request.headers), tenant)
        exchange = taken_up(request, services, valid)
    exchange.transcript = services.signals.transcript(valid)
    if exchange.transcript is None and tenant.content == "traced":
        exchange.transcript = Transcript()
    work = _stream(exchange, services) if valid.stream else _whole(exchange, services)
    return await carried_out(request, services, exchange, work)


async def _whole(exchange: Exchange, services: Services) -> Response[bytes]:
    answer = await services.answering.whole(exchange)
    if exchange.transcript is not None:
        exchange.transcript.add(answer)
    services.signals.answered(exchange)  # What of it is not checked is told with the answer.
    if exchange.request.explain:
        answer["trilemma"] = explanation(exchange)
    body = _encoder.encode(answer)
    exchange.end(Ending.DONE)
    headers = response_headers(exchange, when="whole")
    return Response(body, status_code=200, media_type="application/json", headers=headers)


async def _stream(exchange: Exchange, services: Services) -> EventStreamResponse:
    """Wait for the first token, so that a failure until then is a plain error; then hand over to the relay."""
    events = _relay(exchange, services)
    await anext(events)
    services.signals.begun(exchange)
    return EventStreamResponse(events, headers=response_headers(exchange, when="stream"))


async def _relay(exchange: Exchange, services: Services) -> AsyncGenerator[bytes, None]:
    """Pass events on. The first item is empty and says that the answer has begun.

    Failures until then are raised, and their ending is the route's; from then on this generator sees to it.
    """
    events = services.answering.events(exchange)
    first = await anext(events)
    try:
        # Closed before the ending is written, for an attempt that is broken off has its costs too.
        async with aclosing(events):
            yield b""
            event: Event | None = first
            while event is not None:
                chunk = _forward(exchange, event)
                handed_s = exchange.clock.monotonic_s()
                yield chunk
                exchange.timeline.client_wait_s += exchange.clock.monotonic_s() - handed_s
                event = await _next(events, services)
        exchange.end(Ending.DONE)
        services.signals.answered(exchange)
        yield _last(exchange)
        yield DONE
    except ApiError as error:
        exchange.end(ending_of(error), error_type=error.error_type)
        yield encode_event(error.to_json())
    except Exception:
        logger.exception("stream %s failed", exchange.request_id)
        exchange.end(Ending.FAILED, error_type=InternalError.error_type)
        yield encode_event(InternalError().to_json())
    finally:
        exchange.end(services.interrupted())


async def _next(events: AsyncGenerator[Event, None], services: Services) -> Event | None:
    async with services.drain.bound():
        return await anext(events, None)


def _forward(exchange: Exchange, event: Event) -> bytes:
    """One event for the caller; the usage, which we always ask for, is left to the last chunk."""
    if exchange.transcript is not None:
        exchange.transcript.add(event)
    event.pop("usage", None)
    if not event["choices"]:
        return b""
    if exchange.request.include_usage:
        event["usage"] = None
    return encode_event(_encoder.encode(event))


def _last(exchange: Exchange) -> bytes:
    """The chunk after the answer: usage and explanation, each where it was asked for."""
    request = exchange.request
    if not (request.include_usage or request.explain):
        return b""
    chunk: Event = {
        "id": exchange.request_id,
        "object": "chat.completion.chunk" if request.route == "chat" else "text_completion",
        "created": exchange.created_s,
        "model": exchange.variant,
        "choices": [],
    }
    if request.include_usage:
        chunk["usage"] = exchange.usage
    if request.explain:
        chunk["trilemma"] = explanation(exchange)
    return encode_event(_encoder.encode(chunk))
