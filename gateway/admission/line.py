"""Weighted fair share between the tenants that wait for one variant at one tier: start-time fair queueing.

Goyal, Vin and Cheng, "Start-time fair queueing" (1996), over service seconds. While several tenants wait, what they
are served differs from their weights by no more than the largest of their requests. Who comes back after a pause has
neither credit for it nor a debt from before.
"""

from __future__ import annotations

from gateway.admission.ranking import Ranking

__all__ = ("Line",)


class Line:
    """Tenants in order of their virtual start times, in seconds of service per unit of weight."""

    def __init__(self) -> None:
        self._now = 0.0
        """Start time of who was served last."""
        self._finish: dict[str, float] = {}
        """Of each tenant's last request."""
        self._waiting: Ranking[str] = Ranking()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def join(self, tenant: str) -> None:
        """A tenant waits; nothing changes if it did before."""
        if tenant not in self._waiting:
            self._waiting.put(tenant, self._start(tenant))

    def leave(self, tenant: str) -> None:
        """A tenant waits no more."""
        self._waiting.discard(tenant)

    def first(self) -> str | None:
        """Whose turn it is."""
        found = self._waiting.first()
        return None if found is None else found[0]

    def serve(self, tenant: str, cost_s: float) -> None:
        """A tenant's request is let in, whether it waited or found a free place; `cost_s` is per unit of weight."""
        start = self._waiting.rank(tenant)
        if start is None:
            start = self._start(tenant)
        self._now = max(self._now, start)
        self._finish[tenant] = start + cost_s
        if tenant in self._waiting:
            self._waiting.put(tenant, start + cost_s)
        elif len(self._finish) > _MANY:
            self._finish = {name: finish for name, finish in self._finish.items() if finish > self._now}

    def _start(self, tenant: str) -> float:
        return max(self._now, self._finish.get(tenant, 0.0))


_MANY = 1024
"""Tenants to remember before those are forgotten of whom there is nothing to remember."""
