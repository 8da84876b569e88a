"""Lets requests in as variants have room, the fair way: the awaiting shell around `core.py`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection
from typing import Any

from gateway.admission.core import Core
from gateway.admission.places import Places
from gateway.admission.settings import AdmissionSettings
from gateway.admission.types import AdmissionStats, Outcome, Ticket, Tier
from gateway.clock import Clock
from gateway.errors import ApiError, RateLimitError, RestartingError, UnavailableError
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange
from gateway.telemetry import names
from gateway.tenants.clamp import served_tier

__all__ = ("Admission",)

LOOK_EVERY_S = 0.05
"""How old the view of the variants may be, and how much later than its deadline a request may be told."""

LONGEST_RETRY_S = 60.0

_LEAST_S = 1e-3
"""Of service; a card may say 0."""

_TIERS = {"flex": Tier.FLEX, "default": Tier.DEFAULT, "priority": Tier.PRIORITY}

_MESSAGES = {
    Outcome.FULL: "the queue is full",
    Outcome.CROWDED_OUT: "the queue is full, and this tenant holds its share of it",
    Outcome.TOO_LATE: "the request could not be answered within its time: the wait is longer",
    Outcome.EXPIRED: "the request's time ran out in the queue",
    Outcome.PREEMPTED: "a more urgent request took the place in the queue; `flex` gives way",
}


class Admission:
    """The queue in front of the variants of this process."""

    def __init__(self, settings: AdmissionSettings, *, catalogue: Catalogue, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._places = Places(catalogue)
        self._core = Core(max_queued=settings.max_queued)
        self._waiting: dict[Ticket, asyncio.Future[None]] = {}
        self._looked_s = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    @property
    def stats(self) -> AdmissionStats:
        """How the queue is doing."""
        return self._core.stats

    async def enter(self, exchange: Exchange, pool: Collection[str]) -> None:
        """Wait until one of these variants has room; the place is given back when the exchange ends.

        Raises:
            UnavailableError: The queue is full, or the request cannot be answered in time.
            RateLimitError: The queue is full, and its tenant has more than its share of it.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_s > LOOK_EVERY_S:
            self._look(now_s)
        ticket = self._ticket(exchange, pool, now_s)
        exchange.on_end(lambda _: self._leave(ticket))
        self._tell(self._core.offer(ticket, now_s))
        if ticket.outcome is None:
            exchange.timeline.innermost.attributes |= self._found(ticket)
            await self._wait(ticket)
        if ticket.outcome is not Outcome.ADMITTED:
            raise _refusal(ticket)
        exchange.on_call(lambda variant: self._tell(self._core.sent(ticket, variant, self._clock.monotonic_s())))

    def close(self) -> None:
        """Refuse whoever waits, and whoever would have to from now on."""
        self._tell(self._core.close(self._clock.monotonic_s()))

    def _ticket(self, exchange: Exchange, pool: Collection[str], now_s: float) -> Ticket:
        request, tenant = exchange.request, exchange.tenant
        suited = self._places.suited(request, pool)
        deadline_s, service_s = now_s + self._settings.max_wait_s, _LEAST_S
        if suited:
            service, limits = self._places.service(request, suited), request.limits
            service_s = max(service_s, service.latency_s)
            deadline_s = min(
                deadline_s,
                exchange.started_s + (limits.ttft_s or math.inf) - service.ttft_s,
                exchange.started_s + (limits.latency_s or math.inf) - service.latency_s,
            )
        return Ticket(
            pool=suited,
            tenant=tenant.id,
            weight=tenant.weight,
            tier=_TIERS[served_tier(request.service_tier or "default", tenant)],
            service_s=service_s,
            deadline_s=deadline_s,
        )

    def _found(self, ticket: Ticket) -> dict[str, Any]:
        """What one that has to wait found, for its trace: places, all of them taken, and how many waited already."""
        stats = self._core.stats
        others = sum(depth for (pool, _), depth in stats.waiting.items() if pool & ticket.pool) - 1
        places = {name: stats.places[name] for name in sorted(ticket.pool & stats.places.keys())}
        return {names.QUEUE_PLACES: places, names.QUEUE_WAITING: others}

    async def _wait(self, ticket: Ticket) -> None:
        told = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        self._look_later()
        try:
            await told
        finally:
            self._waiting.pop(ticket, None)
            if ticket.outcome is None:
                self._leave(ticket)

    def _leave(self, ticket: Ticket) -> None:
        self._tell(self._core.leave(ticket, self._clock.monotonic_s()))

    def _tell(self, ended: list[Ticket]) -> None:
        for ticket in ended:
            told = self._waiting.pop(ticket, None)
            if told is not None and not told.done():
                told.set_result(None)

    def _look(self, now_s: float) -> None:
        """See what became of the variants, and whose time is over."""
        self._looked_s = now_s
        self._tell(self._core.arrange(self._places.now(), now_s))
        self._tell(self._core.expire(now_s))

    def _look_later(self) -> None:
        """Look again in a while, as long as somebody waits; nothing runs while nobody does."""
        if self._timer is None and self._waiting:
            self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._look_now)

    def _look_now(self) -> None:
        self._timer = None
        self._look(self._clock.monotonic_s())
        self._look_later()


def _refusal(ticket: Ticket) -> ApiError:
    """429 where a tenant is turned away for what it has waiting itself; 503 for whatever is not its own doing."""
    outcome = ticket.outcome
    assert outcome is not None
    if outcome in {Outcome.CLOSING, Outcome.CANCELLED}:
        return RestartingError()
    retry_after_s = min(LONGEST_RETRY_S, ticket.retry_after_s)
    error = RateLimitError if outcome is Outcome.CROWDED_OUT else UnavailableError
    return error(_MESSAGES[outcome], code=outcome, retry_after_s=retry_after_s)
