"""A duplicate of a slow request, sent to the next best variant; whoever answers first wins, and the other is stopped.

Dean and Barroso, "The Tail at Scale" (CACM 56(2), 2013): a second request after the 95th percentile of the expected
latency takes the tail away for a few per cent more load. Here only where a rule of the policy allows it, under the
policy's cap on the share of requests, and only where another variant is predicted to keep every limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from gateway.routing.attempts import INTERRUPTED, OVERTAKEN, Call
from gateway.routing.call import Event
from gateway.routing.caller import Caller, Others
from gateway.routing.decider import Decider
from gateway.routing.exchange import Exchange
from gateway.routing.lateness import Lateness
from policies.policy import Hedge

__all__ = ("Hedging",)

MOST_CREDIT = 10.0
"""Duplicates that quiet times save up for a bad moment."""


class Hedging:
    """Answers from one variant, or from the faster of two."""

    def __init__(self, *, decider: Decider, caller: Caller) -> None:
        self._decider = decider
        self._caller = caller
        self._credit = 0.0
        self._lateness = Lateness()

    def events(self, exchange: Exchange, call: Call, *, others: Others) -> AsyncGenerator[Event, None]:
        """The answer of a call, or of its duplicate.

        Raises:
            BackendError: The call failed, and its duplicate if there was one.
        """
        hedge = self._hedge(exchange, call)
        predicted_s = _predicted_s(call, stream=exchange.request.stream)
        if hedge is None or predicted_s is None:
            return self._caller.attempt(exchange, call, others=others)
        return self._race(exchange, call, hedge, predicted_s=predicted_s, others=others)

    def _hedge(self, exchange: Exchange, call: Call) -> Hedge | None:
        """The policy's hedge, where the rule of this request allows it; each request earns a share of one."""
        policy, decision = exchange.policy, exchange.decision
        if policy is None or policy.hedge is None or decision is None:
            return None
        if call.role == "first":
            self._credit = min(MOST_CREDIT, self._credit + policy.hedge.max_share)
        allowed = any(rule.then.hedge for rule in policy.rules if rule.name == decision.rule)
        return policy.hedge if allowed else None

    async def _race(
        self, exchange: Exchange, call: Call, hedge: Hedge, *, predicted_s: float, others: Others
    ) -> AsyncGenerator[Event, None]:
        stream, began_s = exchange.request.stream, exchange.clock.monotonic_s()
        racers = [_Racer(call, self._caller.attempt(exchange, call, others=others))]
        try:
            delay_s = predicted_s * self._lateness.quantile(call.variant, stream=stream, level=hedge.after_quantile)
            await asyncio.wait({racers[0].first}, timeout=delay_s)
            if not racers[0].first.done() and (duplicate := self._duplicate(exchange)) is not None:
                answer = self._caller.attempt(exchange, duplicate, others=others)
                racers.append(_Racer(duplicate, answer))
            winner = await _winner(racers)
            late = (exchange.clock.monotonic_s() - began_s) / max(predicted_s, 1e-9)
            self._lateness.note(call.variant, late, stream=stream)
            for racer in racers:
                if racer is not winner:
                    await racer.stop(OVERTAKEN)
            exchange.call = winner.call
            yield winner.first.result()
            async for event in winner.events:
                yield event
        finally:
            for racer in racers:
                await racer.stop(INTERRUPTED)

    def _duplicate(self, exchange: Exchange) -> Call | None:
        """A call to the next best variant, if the cap allows one and it is predicted to keep every limit."""
        if self._credit < 1.0:
            return None
        decision = self._decider.alternative(exchange)
        if decision is None or decision.choice is None or decision.violated is not None:
            return None
        self._credit -= 1.0
        return Call.to(decision.choice, decision, role="hedge")


class _Racer:
    """One of two attempts, waited for until its first event."""

    def __init__(self, call: Call, events: AsyncGenerator[Event, None]) -> None:
        self.call = call
        self.events = events
        self.first: asyncio.Future[Event] = asyncio.ensure_future(anext(events))

    async def stop(self, why: str) -> None:
        """End the attempt, if it has not ended; does nothing on successive calls."""
        self.call.broken_off = why
        self.first.cancel()
        await asyncio.gather(self.first, return_exceptions=True)
        await self.events.aclose()


async def _winner(racers: list[_Racer]) -> _Racer:
    """The first to answer; where all fail, the first one's error is raised."""
    while running := {racer.first for racer in racers if not racer.first.done()}:
        await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for racer in racers:
            if racer.first.done() and racer.first.exception() is None:
                return racer
    racers[0].first.result()
    return racers[0]


def _predicted_s(call: Call, *, stream: bool) -> float | None:
    """Upper quantile of the time until its first event; None where nothing was predicted."""
    if call.estimate is None:
        return None
    return call.estimate.ttft_held_s if stream else call.estimate.latency_held_s
