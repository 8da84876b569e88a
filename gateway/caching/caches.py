"""Looks an answer up, has one of many identical requests make it, and keeps it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Hashable, Iterator
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.caching.admissible import Use, accepted, keepable, use_of
from gateway.caching.background import Background
from gateway.caching.flights import Flights, Lead, Turn
from gateway.caching.judgements import Judgements
from gateway.caching.keys import exact_key
from gateway.caching.likeness import Likeness, Probe, alike_enough
from gateway.caching.origins import Origin, Origins
from gateway.caching.recorder import Recorder
from gateway.caching.redis_store import RedisStore
from gateway.caching.redis_vectors import RedisVectors
from gateway.caching.replay import replayed
from gateway.caching.store import AnswerStore, MemoryStore
from gateway.caching.stored import StoredAnswer
from gateway.caching.thresholds import Thresholds
from gateway.caching.vectors import MemoryVectors, Vectors
from gateway.clock import Clock
from gateway.decisions.types import Row
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
    """Of the prompt to the one it was made for; None where it is the very same request."""


@dataclass(kw_only=True)
class Place:
    """Where an answer that is made now will be kept, and who waits for it."""

    key: str
    terms: Terms
    lead: Lead[Found] = field(default_factory=Lead)
    held: StoredAnswer | None = None
    """What is kept there, and would not do."""
    probe: Probe | None = None

    def outdates(self, answer: StoredAnswer) -> bool:
        """Whether a new answer takes this place in any case: by the same variant, or over one who may not answer."""
        held = self.held
        return held is not None and (held.variant == answer.variant or held.variant not in self.terms.variants)


class Caches:
    """The exact cache, the semantic cache, and the requests in flight."""

    def __init__(
        self, settings: CacheSettings, redis: SharedRedis | None, *, catalogue: Catalogue, clock: Clock
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._flights: Flights[Found] = Flights()
        self._background = Background()
        self._origins = Origins(redis, self._background)
        self._store = _store(settings, redis, clock)
        vectors: Vectors = MemoryVectors() if redis is None else RedisVectors(redis)
        thresholds = Thresholds(redis, clock=clock)
        self._likeness = Likeness(settings, vectors=vectors, thresholds=thresholds, catalogue=catalogue)
        self._judgements = Judgements(
            store=self._store, origins=self._origins, thresholds=thresholds, background=self._background
        )

    def follow(self, row: Row) -> None:
        """Take a row of the log: a judgement may be about an answer that is kept. Never raises."""
        self._judgements.follow(row)

    async def aclose(self) -> None:
        """End what is done in the background."""
        await self._background.aclose()

    def answer(self, exchange: Exchange, make: Make, *, terms: Terms) -> AsyncGenerator[Event, None]:
        """The events of the answer: those kept, or those that `make` gives, which are then kept if they may be.

        Whatever is wrong with a cache, `make` is what remains; its errors are raised as they are.
        """
        if not self._settings.exact:
            return make()
        with exchange.stage("cache"):
            use = use_of(exchange.request, [self._catalogue.view(name).variant.decoding for name in terms.variants])
            if use is Use.NONE:
                return make()
            place = Place(key=exact_key(exchange.request), terms=terms)
        return self._made(exchange, make, place) if use is Use.REFRESH else self._found_or_made(exchange, make, place)

    async def _found_or_made(self, exchange: Exchange, make: Make, place: Place) -> AsyncGenerator[Event, None]:
        terms = place.terms
        # Nobody waits for one that waits behind it in the queue, or that has to keep less.
        flight, found = (place.key, terms, exchange.request.service_tier), None
        turn = await self._turn(exchange, flight, terms)
        if isinstance(turn, Found):
            found = turn
        else:
            exchange.cache = "miss"
            with self._flights.led(flight) if turn is Turn.LEAD else nullcontext(Lead[Found]()) as place.lead:
                if turn is Turn.LEAD:
                    found = await self._find(exchange, place)
                if found is not None:
                    place.lead.landed(found)
                else:
                    async with aclosing(self._made(exchange, make, place)) as events:
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
        return turn if isinstance(turn, Turn) or _fits(turn, exchange, terms) else Turn.ALONE

    async def _find(self, exchange: Exchange, place: Place) -> Found | None:
        """A kept answer that may be given to this request."""
        terms = place.terms
        with exchange.stage("cache"):
            place.held = answer = await self._store.get(place.key)
        if answer is not None and accepted(answer, exchange, terms):
            return Found(key=place.key, answer=answer)
        with exchange.stage("likeness"):
            place.probe = await self._likeness.probe(exchange, terms)
            return None if place.probe is None else await self._alike(exchange, place.probe, terms)

    async def _alike(self, exchange: Exchange, probe: Probe, terms: Terms) -> Found | None:
        """The answer to the prompt that is most alike, of those that may be given to this request."""
        for key, similarity in await self._likeness.nearest(probe):
            answer = await self._store.get(key)
            if answer is None:
                await self._likeness.drop(probe, key)
                continue
            found = Found(key=key, answer=answer, similarity=similarity)
            if _fits(found, exchange, terms):
                return found
        return None

    def _given(self, exchange: Exchange, found: Found, terms: Terms) -> Iterator[Event]:
        exchange.cache = "exact" if found.similarity is None else "semantic"
        exchange.policy, exchange.limits = terms.policy, terms.limits
        self._note(exchange, found.key, similarity=found.similarity)
        return replayed(found.answer, exchange)

    async def _made(self, exchange: Exchange, make: Make, place: Place) -> AsyncGenerator[Event, None]:
        """A new answer, kept once it is complete, and given to those who wait for it."""
        recorder = Recorder(max_bytes=self._settings.max_entry_bytes)
        async with aclosing(make()) as events:
            async for event in events:
                recorder.add(event)
                yield event
        answer = recorder.answer(exchange, accuracy=place.terms.accuracy)
        if answer is not None and keepable(exchange):
            with exchange.stage("keep"):
                await self._keep(exchange, place, answer)
        place.lead.landed(None if answer is None else Found(key=place.key, answer=answer))

    async def _keep(self, exchange: Exchange, place: Place, answer: StoredAnswer) -> None:
        ttl_s = self._ttl_s(exchange)
        if place.outdates(answer):
            await self._store.drop(place.key)
        await self._store.put(place.key, answer, ttl_s=ttl_s)
        self._note(exchange, place.key)
        if place.probe is not None:
            await self._likeness.add(place.probe, place.key, ttl_s=ttl_s)

    def _note(self, exchange: Exchange, key: str, *, similarity: float | None = None) -> None:
        origin = Origin(key=key, tenant=exchange.tenant.id, similarity=similarity)
        self._origins.note(exchange.decision_id, origin, ttl_s=self._settings.ttl_s)

    def _ttl_s(self, exchange: Exchange) -> float:
        """How long its answer is kept: the caller may only shorten it."""
        hint, ttl_s = exchange.request.cache, self._settings.ttl_s
        return ttl_s if hint is None or hint.ttl_s is None else min(ttl_s, hint.ttl_s)


def _store(settings: CacheSettings, redis: SharedRedis | None, clock: Clock) -> AnswerStore:
    if redis is None:
        return MemoryStore(max_bytes=settings.max_bytes, clock=clock)
    return RedisStore(redis, max_bytes=settings.max_bytes, max_entry_bytes=settings.max_entry_bytes, clock=clock)


def _fits(found: Found, exchange: Exchange, terms: Terms) -> bool:
    """Whether the request may be given what was found, for itself or by another one in flight."""
    if found.similarity is not None:
        age_s = exchange.clock.wall_s() - found.answer.made_at_s
        if not alike_enough(exchange, found.similarity, age_s=age_s):
            return False
    return accepted(found.answer, exchange, terms)


def _patience_s(exchange: Exchange, terms: Terms, most_s: float) -> float:
    """How long to wait for another request's answer: half of what the limits leave is kept to have one made."""
    limits = [terms.limits.latency_s, terms.limits.ttft_s if exchange.request.stream else None]
    left = [max(0.0, limit_s - exchange.elapsed_s) / 2 for limit_s in limits if limit_s is not None]
    return min([most_s, *left])
