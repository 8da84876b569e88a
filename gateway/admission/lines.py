"""Those who wait for one pool: a line for each tenant and tier."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.admission.tickets import RANKS, Outcome, Ticket
from gateway.tenants.types import ServedTier

__all__ = ("Lines",)

SMOOTHING = 0.1
"""Weight of the latest gap in the mean time between two grants."""


@dataclass(kw_only=True)
class Lines:
    """Mutable, and pure: the time is an argument."""

    lines: defaultdict[str, dict[ServedTier, deque[Ticket]]] = field(default_factory=lambda: defaultdict(dict))
    """By tenant and tier, in the order they came."""
    count: int = 0
    gap_s: float | None = None
    """Mean time between two grants while somebody waited."""
    granted_s: float | None = None
    """Of the last grant after which somebody still waited."""

    def add(self, ticket: Ticket) -> None:
        """Take a ticket."""
        self.lines[ticket.tenant].setdefault(ticket.tier, deque()).append(ticket)
        self.count += 1

    def remove(self, ticket: Ticket) -> None:
        """Let one go that is here."""
        tiers = self.lines[ticket.tenant]
        tiers[ticket.tier].remove(ticket)
        self.count -= 1
        if not tiers[ticket.tier]:
            del tiers[ticket.tier]
        if not tiers:
            del self.lines[ticket.tenant]

    def heads(self) -> Iterator[Ticket]:
        """The next of each tenant and tier; the oldest of a tier has risen as far as any of it."""
        return (line[0] for tiers in self.lines.values() for line in tiers.values())

    def held(self, tenant: str) -> int:
        """Tickets of a tenant."""
        return sum(map(len, self.lines[tenant].values())) if tenant in self.lines else 0

    def note_grant(self, now_s: float) -> None:
        """Learn the pace; only the time during which somebody waited tells of it."""
        if self.granted_s is not None:
            gap_s = now_s - self.granted_s
            self.gap_s = gap_s if self.gap_s is None else self.gap_s + SMOOTHING * (gap_s - self.gap_s)
        self.granted_s = now_s if self.count else None

    def wait_s(self, ticket: Ticket) -> float:
        """How long one that came now would wait: the grants before its turn, at the latest pace."""
        if self.gap_s is None:
            return 0.0
        rank = RANKS[ticket.tier]
        turns = 1.0 + sum(len(line) for tier, line in self._of(ticket.tenant) if RANKS[tier] <= rank)
        before = 0.0
        for tenant in self.lines:
            if tenant != ticket.tenant:
                above = sum(len(line) for tier, line in self._of(tenant) if RANKS[tier] < rank)
                level = sum(len(line) for tier, line in self._of(tenant) if RANKS[tier] == rank)
                before += above + min(level, turns * self._weight(tenant) / ticket.weight)
        return (before + turns) * self.gap_s

    def victim(self, ticket: Ticket) -> tuple[Ticket, Outcome]:
        """Who gives way in a full queue: `flex` to `priority`, else the youngest of who has most over its share."""
        flex = [tiers["flex"][-1] for tiers in self.lines.values() if "flex" in tiers]
        if ticket.tier == "priority" and flex:
            return max(flex, key=lambda t: t.arrived_s), Outcome.PREEMPTED
        shares = {tenant: self.held(tenant) / self._weight(tenant) for tenant in self.lines}
        most = max(shares, key=lambda tenant: shares[tenant], default=ticket.tenant)
        if (self.held(ticket.tenant) + 1) / ticket.weight < shares.get(most, 0.0):
            lowest = max(self.lines[most], key=lambda tier: RANKS[tier])
            return self.lines[most][lowest][-1], Outcome.CROWDED_OUT
        others = set(self.lines) - {ticket.tenant}
        return ticket, Outcome.CROWDED_OUT if others else Outcome.FULL

    def _of(self, tenant: str) -> list[tuple[ServedTier, deque[Ticket]]]:
        return list(self.lines[tenant].items()) if tenant in self.lines else []

    def _weight(self, tenant: str) -> float:
        return next(iter(self.lines[tenant].values()))[0].weight
