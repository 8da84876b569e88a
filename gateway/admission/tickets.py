"""A request's place in the queue, and what may become of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.tenants.types import ServedTier

__all__ = ("AGES_S", "RANKS", "Outcome", "Pool", "Ticket")

Pool = frozenset[str]
"""Variants that may answer a request."""

AGES_S = 20.0
"""Seconds of waiting after which a ticket is treated as one of the next tier."""

RANKS: dict[ServedTier, int] = {"priority": 0, "default": 1, "flex": 2}
"""Lowest first."""


class Outcome(StrEnum):
    """What became of a ticket. Closed: it doubles as a metric label."""

    ADMITTED = "admitted"
    FULL = "full"
    """The queue had no room, and nobody to give way."""
    CROWDED_OUT = "crowded_out"
    """The queue had no room, and its own tenant had taken more than its share of it."""
    TOO_LATE = "too_late"
    """It could not have been answered in time, and was told so at once."""
    EXPIRED = "expired"
    """Its time ran out while it waited."""
    PREEMPTED = "preempted"
    """It was `flex`, and gave its place in the queue to `priority`."""
    CANCELLED = "cancelled"
    """Its caller left."""
    CLOSING = "closing"
    """The process is going to stop."""


@dataclass(eq=False, kw_only=True)
class Ticket:
    """One request, from the queue to its end. Times are seconds on one monotonic clock."""

    tenant: str
    weight: float
    tier: ServedTier
    pool: Pool
    work: float
    """What it is expected to take, in any unit that is the same for all."""
    arrived_s: float
    deadline_s: float
    calling: Mapping[str, int] = field(default_factory=dict)
    """Calls that its request has at work, by variant; empty until the decision has picked one."""
    outcome: Outcome | None = None
    """None while it waits."""

    def rank(self, now_s: float) -> int:
        """Its tier at this moment, 0 first."""
        own = RANKS[self.tier]
        best = 0 if own <= RANKS["default"] else RANKS["default"]
        return max(best, own - int((now_s - self.arrived_s) / AGES_S))
