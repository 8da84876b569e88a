"""Tickets and a queue for tests, under a clock that the test sets."""

from __future__ import annotations

from typing import Any

from gateway.admission.core import Core
from gateway.admission.types import Outcome, Ticket

__all__ = ("POOL", "busy", "core", "ended", "order", "ticket")

POOL = frozenset({"a"})


def core(*, max_queued: int = 10_000, **places: int) -> Core:
    """A queue in front of these variants; of one with one place where none is named."""
    made = Core(max_queued=max_queued)
    made.arrange(places or {"a": 1}, 0.0)
    return made


def ticket(tenant: str = "t", *, pool: str = "a", **fields: Any) -> Ticket:
    """A request for a pool whose variants have one letter each."""
    return Ticket(pool=frozenset(pool), tenant=tenant, **fields)


def busy(of: Core, *tickets: Ticket, now_s: float = 0.0) -> Ticket:
    """Have these wait behind one that is at work, which is returned."""
    first = ticket("busy")
    of.offer(first, now_s)
    for one in tickets:
        of.offer(one, now_s)
    return first


def order(of: Core, leaving: Ticket | None, now_s: float = 0.0, *, held_s: float | None = None) -> list[Ticket]:
    """Whom one place is given to, one after the other; each holds it as long as predicted, or as said."""
    admitted = list[Ticket]()
    while leaving is not None:
        now_s += leaving.service_s if held_s is None else held_s
        leaving = next((one for one in of.leave(leaving, now_s) if one.outcome is Outcome.ADMITTED), None)
        admitted += [leaving] if leaving else []
    return admitted


def ended(tickets: list[Ticket]) -> list[tuple[Ticket, Outcome | None]]:
    """With how each ended."""
    return [(one, one.outcome) for one in tickets]
