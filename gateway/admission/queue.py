"""The requests that wait for one pool: in order of arrival by tier and tenant, and how many each tenant has."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict

from gateway.admission.ranking import Ranking
from gateway.admission.types import Ticket, Tier

__all__ = ("Queue",)

_Arrivals = OrderedDict[int, Ticket]


class Queue:
    """Who goes next is not decided here, only who may stay when there are too many."""

    def __init__(self) -> None:
        self._tiers: dict[Tier, _Arrivals] = {tier: OrderedDict() for tier in Tier}
        self._tenants: dict[tuple[Tier, str], _Arrivals] = {}
        self._counts: Counter[str] = Counter()
        self._crowding: Ranking[str] = Ranking()
        """Tenants by how much of the queue they fill for their weight, those that fill most first."""
        self._weights: defaultdict[Tier, float] = defaultdict(float)
        """Of the tenants that wait, together."""

    def __len__(self) -> int:
        return sum(len(tier) for tier in self._tiers.values())

    def depth(self, tier: Tier) -> int:
        """How many wait at a tier."""
        return len(self._tiers[tier])

    def add(self, ticket: Ticket) -> None:
        """Have one more wait."""
        arrivals = self._tenants.get((ticket.tier, ticket.tenant))
        if arrivals is None:
            arrivals = self._tenants[ticket.tier, ticket.tenant] = OrderedDict()
            self._weights[ticket.tier] += ticket.weight
        arrivals[ticket.number] = self._tiers[ticket.tier][ticket.number] = ticket
        self._count(ticket, 1)

    def remove(self, ticket: Ticket) -> None:
        """One that waits does so no more."""
        arrivals = self._tenants[ticket.tier, ticket.tenant]
        del arrivals[ticket.number], self._tiers[ticket.tier][ticket.number]
        if not arrivals:
            del self._tenants[ticket.tier, ticket.tenant]
            self._weights[ticket.tier] -= ticket.weight
        self._count(ticket, -1)

    def first(self, tier: Tier, tenant: str) -> Ticket | None:
        """The one of a tenant that has waited longest at a tier."""
        arrivals = self._tenants.get((tier, tenant))
        return next(iter(arrivals.values())) if arrivals else None

    def tickets(self) -> list[Ticket]:
        """Everyone, the most urgent tier first, in order of arrival."""
        return [ticket for tier in reversed(Tier) for ticket in self._tiers[tier].values()]

    def count(self, tenant: str) -> int:
        """How many a tenant has waiting, at all tiers."""
        return self._counts[tenant]

    def ahead(self, ticket: Ticket) -> float:
        """How many are going to be served before one that comes now.

        All at higher tiers, and of its own tier as many as are served, by fair share, until its tenant has been
        served all that it has there.
        """
        higher = sum(len(self._tiers[tier]) for tier in Tier if tier > ticket.tier)
        own = self._tenants.get((ticket.tier, ticket.tenant), ())
        weights = self._weights[ticket.tier] + (0.0 if own else ticket.weight)
        fair = (len(own) + 1) * weights / ticket.weight - 1
        return higher + min(fair, len(self._tiers[ticket.tier]))

    def last_flex(self) -> Ticket | None:
        """The youngest that may be preempted."""
        return _last(self._tiers[Tier.FLEX])

    def crowder(self, ticket: Ticket) -> Ticket | None:
        """Who has to leave a full queue for one more: the youngest of the tenant that fills most for its weight.

        Of that tenant's lowest tier; None where it is the newcomer's own, or would be. `flex` drives out only `flex`.
        """
        first = self._crowding.first()
        if first is None or -first[1] <= (self._counts[ticket.tenant] + 1) / ticket.weight:
            return None
        lists = (self._tenants.get((tier, first[0])) for tier in Tier)
        last = next(last for arrivals in lists if arrivals and (last := _last(arrivals)))
        return None if last.tier > ticket.tier is Tier.FLEX else last

    def _count(self, ticket: Ticket, more: int) -> None:
        tenant = ticket.tenant
        self._counts[tenant] += more
        if self._counts[tenant]:
            self._crowding.put(tenant, -self._counts[tenant] / ticket.weight)
        else:
            del self._counts[tenant]
            self._crowding.discard(tenant)


def _last(arrivals: _Arrivals) -> Ticket | None:
    return next(reversed(arrivals.values())) if arrivals else None
