"""Looks an answer up, has one of many identical requests make it, and keeps it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable, Iterator
from contextlib import aclosing, nullcontext
from typing import Any

import msgspec

from gateway.caching.admissible import Use, accepted, keepable, use_of
from gateway.caching.flights import Flights, Lead, Turn
from gateway.caching.keys import exact_key
from gateway.caching.recorder import Recorder
from gateway.caching.redis_store import RedisStore
from gateway.caching.replay import replayed
from gateway.caching.store import AnswerStore, MemoryStore
from gateway.caching.stored import StoredAnswer
from gateway.clock import Clock
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange, Make
from gateway.routing.terms import Terms
from gateway.shared.redis import SharedRedis
from gateway.shared.settings import CacheSettings

__all__ = ("Caches",)

Event = dict[str, Any]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was made before, or by another request in flight."""

    key: str
    answer: StoredAnswer
    similarity: float | None = None
    """Of the prompt it was made for; None where it is the very same request."""


class Caches:
    """The exact cache, the semantic cache, and the requests in flight."""

    def __init__(
        self, settings: CacheSettings, redis: SharedRedis | None, *, catalogue: Catalogue, clock: Clock
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._flights: Flights[Found] = Flights()
        self._store: AnswerStore = (
            MemoryStore(max_bytes=settings.max_bytes, clock=clock)
            if redis is None
            else RedisStore(redis, max_entry_bytes=settings.max_entry_bytes)
        )

    def answer(self, exchange: Exchange, make: Make, *, terms: Terms) -> AsyncGenerator[Event, None]:
        """The events of the answer: those kept, or those that `make` gives, which are then kept if they may be.

        Whatever is wrong with a cache, `make` is what remains; its errors are raised as they are.
        """
        match self._use(exchange, terms):
            case Use.NONE:
                return make()
            case Use.REFRESH:
                return self._made(exchange, make, exact_key(exchange.request), Lead())
            case Use.FULL:
                return self._found_or_made(exchange, make, terms)

    def _use(self, exchange: Exchange, terms: Terms) -> Use:
        if not self._settings.exact:
            return Use.NONE
        return use_of(exchange.request, [self._catalogue.view(name).variant.decoding for name in terms.variants])

    async def _found_or_made(self, exchange: Exchange, make: Make, terms: Terms) -> AsyncGenerator[Event, None]:
        key = exact_key(exchange.request)
        flight, found = (key, terms), None
        turn = await self._turn(exchange, flight, terms)
        if isinstance(turn, Found):
            found = turn
        else:
            exchange.cache = "miss"
            with self._flights.led(flight) if turn is Turn.LEAD else nullcontext(Lead[Found]()) as lead:
                if turn is Turn.LEAD:
                    found = await self._find(exchange, key, terms)
                if found is not None:
                    lead.landed(found)
                else:
                    async with aclosing(self._made(exchange, make, key, lead)) as events:
                        async for event in events:
                            yield event
        if found is not None:
            for event in self._given(exchange, found, terms):
                yield event

    async def _turn(self, exchange: Exchange, flight: Hashable, terms: Terms) -> Found | Turn:
        """What to do: have what another request was given, or see to it oneself."""
        if self._flights.takes_off(flight):
            return Turn.LEAD
        with exchange.stage("flight"):
            turn = await self._flights.wait(flight, timeout_s=_patience_s(exchange, terms, self._settings.flight_s))
        if isinstance(turn, Found) and not accepted(turn.answer, exchange, terms):
            return Turn.ALONE
        return turn

    async def _find(self, exchange: Exchange, key: str, terms: Terms) -> Found | None:
        """A kept answer that may be given to this request."""
        with exchange.stage("cache"):
            answer = await self._store.get(key)
        if answer is None or not accepted(answer, exchange, terms):
            return None
        return Found(key=key, answer=answer)

    def _given(self, exchange: Exchange, found: Found, terms: Terms) -> Iterator[Event]:
        exchange.cache = "exact" if found.similarity is None else "semantic"
        exchange.policy, exchange.limits = terms.policy, terms.limits
        return replayed(found.answer, exchange)

    async def _made(self, exchange: Exchange, make: Make, key: str, lead: Lead[Found]) -> AsyncGenerator[Event, None]:
        """A new answer, kept once it is complete, and given to those who wait for it."""
        recorder = Recorder(max_bytes=self._settings.max_entry_bytes)
        async with aclosing(make()) as events:
            async for event in events:
                recorder.add(event)
                yield event
        answer = recorder.answer(exchange)
        if answer is not None and keepable(exchange):
            await self._store.put(key, answer, ttl_s=self._ttl_s(exchange))
        lead.landed(None if answer is None else Found(key=key, answer=answer))

    def _ttl_s(self, exchange: Exchange) -> float:
        """How long its answer is kept: the caller may only shorten it."""
        hint, ttl_s = exchange.request.cache, self._settings.ttl_s
        return ttl_s if hint is None or hint.ttl_s is None else min(ttl_s, hint.ttl_s)


def _patience_s(exchange: Exchange, terms: Terms, most_s: float) -> float:
    """How long to wait for another request's answer: half of what the limits leave is kept to have one made."""
    limits = [terms.limits.latency_s, terms.limits.ttft_s if exchange.request.stream else None]
    left = [max(0.0, limit_s - exchange.elapsed_s) / 2 for limit_s in limits if limit_s is not None]
    return min([most_s, *left])
