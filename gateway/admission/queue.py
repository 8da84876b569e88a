"""Who goes next: a queue with tiers, fair shares and deadlines, that knows neither clocks nor tasks.

Tiers first: `priority`, `default`, `flex`; after every `AGES_S` of waiting a ticket counts as one of the next tier so
that nobody starves, but one of `flex` never as `priority`. Within a tier tenants share by weight: start-time fair
queueing (Goyal, Vin and Cheng, 1996), where a tenant's next start lies after the work that it has been given, divided
by its weight. Within a tenant and a tier, first come, first served.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from itertools import count

from gateway.admission.lines import Lines
from gateway.admission.tickets import Outcome, Pool, Ticket
from gateway.tenants.types import ServedTier

__all__ = ("Queue",)

REMEMBERED = 10_000
"""Tenants whose latest work is known before those that owe nothing are forgotten."""


class Queue:
    """All pools of a process. Every method returns at once; what was settled is told by the tickets it returns."""

    def __init__(self, *, max_queued: int, room: Callable[[Pool, Collection[Ticket]], float]) -> None:
        """Prepare.

        Args:
            max_queued: Tickets that may wait for one pool.
            room: Places free in a pool, with these tickets at work.
        """
        self._max_queued = max_queued
        self._room = room
        self._waiting: defaultdict[Pool, Lines] = defaultdict(Lines)
        self._deadlines: list[tuple[float, int, Ticket]] = []
        self._numbers = count()
        self._finish: dict[str, float] = {}
        """Virtual time at which each tenant's work given so far would be done, where that lies ahead."""
        self._virtual = 0.0
        self._closed = False
        self.at_work: set[Ticket] = set()
        """Tickets admitted that were not given back."""
        self.outcomes: Counter[Outcome] = Counter()
        """Of all tickets that were settled."""

    @property
    def waiting(self) -> int:
        """Tickets in the queue."""
        return sum(waiting.count for waiting in self._waiting.values())

    def depths(self) -> dict[tuple[Pool, ServedTier], int]:
        """Tickets in the queue, by pool and tier."""
        found: Counter[tuple[Pool, ServedTier]] = Counter()
        for pool, waiting in self._waiting.items():
            for tiers in waiting.lines.values():
                found.update({(pool, tier): len(line) for tier, line in tiers.items()})
        return dict(found)

    def wait_s(self, ticket: Ticket) -> float:
        """How long a ticket that came now would wait, as far as can be told."""
        return self._waiting[ticket.pool].wait_s(ticket)

    def offer(self, ticket: Ticket, *, now_s: float) -> list[Ticket]:
        """Take a ticket: it is settled at once, or waits. Returns all that were settled, it or who gave way to it."""
        if self._closed:
            return [self._settle(ticket, Outcome.CLOSING)]
        waiting = self._waiting[ticket.pool]
        if not waiting.count and self._room(ticket.pool, self.at_work) > 0:
            return [self._grant(ticket)]
        if now_s + waiting.wait_s(ticket) > ticket.deadline_s:
            return [self._settle(ticket, Outcome.TOO_LATE)]
        settled = []
        if waiting.count >= self._max_queued:
            victim, outcome = waiting.victim(ticket)
            settled.append(self._settle(victim, outcome))
            if victim is ticket:
                return settled
            waiting.remove(victim)
        waiting.add(ticket)
        heapq.heappush(self._deadlines, (ticket.deadline_s, next(self._numbers), ticket))
        return [*settled, *self.advance(now_s=now_s)]

    def release(self, ticket: Ticket, *, now_s: float) -> list[Ticket]:
        """The request of a ticket has ended, wherever it was; its place goes to the next."""
        self.cancel(ticket)
        self.at_work.discard(ticket)
        return self.advance(now_s=now_s)

    def cancel(self, ticket: Ticket) -> None:
        """A waiting ticket's caller has left; does nothing for one that was settled."""
        if ticket.outcome is None:
            self._waiting[ticket.pool].remove(ticket)
            self._settle(ticket, Outcome.CANCELLED)

    def advance(self, *, now_s: float) -> list[Ticket]:
        """Settle whom time or room has settled; call it now and then, for room may come from elsewhere."""
        settled = []
        while self._deadlines and (self._deadlines[0][0] <= now_s or self._deadlines[0][2].outcome is not None):
            ticket = heapq.heappop(self._deadlines)[2]
            if ticket.outcome is None:
                self._waiting[ticket.pool].remove(ticket)
                settled.append(self._settle(ticket, Outcome.EXPIRED))
        while (granted := self._next(now_s)) is not None:
            waiting = self._waiting[granted.pool]
            waiting.remove(granted)
            waiting.note_grant(now_s)
            settled.append(self._grant(granted))
        return settled

    def close(self) -> list[Ticket]:
        """Send everybody away, and whoever comes from now on."""
        self._closed = True
        lines = [line for waiting in self._waiting.values() for t in waiting.lines.values() for line in t.values()]
        self._waiting.clear()
        return [self._settle(ticket, Outcome.CLOSING) for line in lines for ticket in line]

    def _next(self, now_s: float) -> Ticket | None:
        """The first in line among those whose pool has room."""
        heads = (
            ticket
            for pool, waiting in self._waiting.items()
            if waiting.count and self._room(pool, self.at_work) > 0
            for ticket in waiting.heads()
        )
        return min(heads, key=lambda t: (t.rank(now_s), self._start(t), t.arrived_s), default=None)

    def _start(self, ticket: Ticket) -> float:
        """Virtual time at which its tenant's next work begins."""
        return max(self._virtual, self._finish.get(ticket.tenant, 0.0))

    def _grant(self, ticket: Ticket) -> Ticket:
        self._virtual = start = self._start(ticket)
        self._finish[ticket.tenant] = start + ticket.work / ticket.weight
        if len(self._finish) > REMEMBERED:
            self._finish = {tenant: at for tenant, at in self._finish.items() if at > start}
        self.at_work.add(ticket)
        return self._settle(ticket, Outcome.ADMITTED)

    def _settle(self, ticket: Ticket, outcome: Outcome) -> Ticket:
        ticket.outcome = outcome
        self.outcomes[outcome] += 1
        return ticket
