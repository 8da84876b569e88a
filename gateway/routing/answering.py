"""The steps of an answer, in order: quotas, checks, caches, the queue, and then a variant."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.admission.admission import Admission
from gateway.caching.caches import Caches
from gateway.learning.verifier import Verifier
from gateway.limits.limiter import Limiter
from gateway.routing.call import Event
from gateway.routing.decider import Decider
from gateway.routing.dispatch import Dispatcher
from gateway.routing.exchange import Exchange

__all__ = ("Answering",)


class Answering:
    """Takes an exchange from a validated request to its answer."""

    def __init__(
        self,
        *,
        limiter: Limiter,
        verifier: Verifier,
        caches: Caches,
        admission: Admission,
        decider: Decider,
        dispatcher: Dispatcher,
    ) -> None:
        self._limiter = limiter
        self._verifier = verifier
        self._caches = caches
        self._admission = admission
        self._decider = decider
        self._dispatcher = dispatcher

    async def whole(self, exchange: Exchange) -> Event:
        """The whole answer.

        Raises:
            ApiError: There is none.
        """
        async with aclosing(self.events(exchange)) as events:
            [answer] = [event async for event in events]
        return answer

    async def events(self, exchange: Exchange) -> AsyncGenerator[Event, None]:
        """The one event of a whole answer, or those of a stream from the first with content on.

        Raises:
            ApiError: There is no answer, or it broke off after some of its events.
        """
        exchange.timeline.until_now("schedule")
        with exchange.stage("terms"):
            self._decider.pool(exchange)  # Raises for what nobody may answer, before anything is counted.
        with exchange.stage("limits"):
            await self._limiter.admit(exchange)
        if exchange.request.all_checks:
            with exchange.stage("checks"):
                exchange.request = await self._verifier.verified(exchange.request)

        async def make() -> AsyncGenerator[Event, None]:
            with exchange.stage("queue"):
                await self._admission.enter(exchange, terms.variants)
            async with aclosing(self._dispatcher.events(exchange)) as made:
                async for event in made:
                    yield event

        with exchange.stage("terms"):
            terms = self._decider.terms(exchange)
        async with aclosing(self._caches.answer(exchange, make, terms=terms)) as events:
            async for event in events:
                yield event
