"""A request as the queue knows it, how it may end there, and what is counted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

import msgspec

__all__ = ("AdmissionStats", "Outcome", "Pool", "Ticket", "Tier")

Pool = frozenset[str]
"""Variants that may answer a request."""


class Tier(IntEnum):
    """Urgency, lowest first."""

    FLEX = 0
    DEFAULT = 1
    PRIORITY = 2


class Outcome(StrEnum):
    """How a request's wait ended. Closed: it doubles as a metric label."""

    ADMITTED = "admitted"
    """It may go on; all others may not."""
    FULL = "full"
    """As many wait as may wait."""
    CROWDED_OUT = "crowded_out"
    """As many wait as may wait, and its tenant has more than its share of them."""
    TOO_LATE = "too_late"
    """It would not be its turn before its deadline."""
    EXPIRED = "expired"
    """It waited until its deadline."""
    PREEMPTED = "preempted"
    """It was `flex`, and left its place in the full queue to a `priority` request."""
    CANCELLED = "cancelled"
    """Its caller left."""
    CLOSING = "closing"
    """The process stops."""


@dataclass(eq=False, slots=True, kw_only=True)
class Ticket:
    """One request in the queue. Made by whoever offers it; from `number` on it is the core's to write."""

    pool: Pool
    tenant: str
    weight: float = 1.0
    """The tenant's share against others'."""
    tier: Tier = Tier.DEFAULT
    service_s: float = 1.0
    """Seconds for which it is going to hold its place, as predicted; above 0."""
    deadline_s: float = math.inf
    """Moment after which it is of no use to be let in."""
    number: int = 0
    """Order of arrival."""
    offered_s: float = 0.0
    ended_s: float = 0.0
    """When its wait ended."""
    outcome: Outcome | None = None
    """None while it waits."""
    seat: str | None = None
    """Variant whose place it holds; None also where no variant of its pool could answer when it was let in."""
    at: str | None = None
    """Variant that it was sent to; before the decision, the one whose place it holds."""
    retry_after_s: float = 0.0
    """Where it was turned away: when it is predicted to be let in."""


class AdmissionStats(msgspec.Struct, frozen=True, kw_only=True):
    """The queue as it stands, and what it did since the process began."""

    waiting: Mapping[tuple[Pool, Tier], int]
    """Requests that wait; pools and tiers without any are left out."""
    running: Mapping[str, int]
    """Places taken, by variant."""
    places: Mapping[str, int]
    """Places there are, by variant; one that cannot answer is left out."""
    outcomes: Mapping[Outcome, int]
    """Ended waits."""
    waited_s: Mapping[Tier, float]
    """Seconds that ended waits took, all together."""

    @property
    def at_work(self) -> int:
        """Places taken."""
        return sum(self.running.values())
