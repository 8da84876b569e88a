"""What a tenant asks for: the mean of its recent requests, and what each variant was predicted to take for them."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from policies.features.types import Features
from policies.learner.basis import Basis
from policies.types import Candidate, Estimate

__all__ = ("AllTraffic", "Traffic")

F64 = NDArray[np.float64]

MEMORY = 300.0
"""Requests over which means are taken."""

KEPT = 50
"""Latest requests whose features are kept, so that the mean can be taken in another basis."""

MOST_TENANTS = 64
"""Tenants with a mean of their own, the latest ones."""


class Traffic:
    """One tenant's requests. Mutable."""

    def __init__(self, size: int) -> None:
        self.mean: F64 = np.zeros(size)
        """Of the vectors."""
        self.requests = 0
        self._latest: deque[Features] = deque(maxlen=KEPT)
        self.predicted: dict[str, tuple[float, float, float]] = {}
        """Mean cost (USD) and latency (s) by variant, and the requests behind them."""

    def add(self, z: F64, features: Features | None, predicted: Mapping[str, tuple[float, float]]) -> None:
        """Count a request with the cost and the latency predicted for each variant."""
        self.requests += 1
        self.mean += (z - self.mean) / min(self.requests, MEMORY)
        if features is not None:
            self._latest.append(features)
        for name, (usd, latency_s) in predicted.items():
            mean_usd, mean_s, seen = self.predicted.get(name, (0.0, 0.0, 0.0))
            seen = min(seen + 1.0, MEMORY)
            self.predicted[name] = (mean_usd + (usd - mean_usd) / seen, mean_s + (latency_s - mean_s) / seen, seen)

    def usual(self, candidates: Sequence[Candidate], estimates: Sequence[Estimate]) -> F64:
        """Mean predicted cost and latency of candidates, as now estimated where there is none; shape (2, k)."""
        found = self.predicted
        means = [
            found.get(c.name, (e.cost_usd, e.latency_s, 0.0)) for c, e in zip(candidates, estimates, strict=True)
        ]
        usual: F64 = np.array(means).T[:2]
        return usual

    def copy(self) -> Traffic:
        """The same, independent of this one."""
        made = Traffic(len(self.mean))
        made.requests, made.predicted, made.mean = self.requests, dict(self.predicted), self.mean.copy()
        made._latest.extend(self._latest)
        return made

    def rebased(self, basis: Basis) -> Traffic:
        """The same requests as another basis sees them."""
        made = Traffic(basis.size)
        made.requests, made.predicted = self.requests, dict(self.predicted)
        made._latest.extend(self._latest)
        if made._latest:
            made.mean = np.mean([basis.vector(features) for features in made._latest], axis=0)
        return made


class AllTraffic:
    """Every tenant's. Mutable."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._by_tenant: OrderedDict[str, Traffic] = OrderedDict()
        self._together = Traffic(size)

    @property
    def by_tenant(self) -> Mapping[str, Traffic]:
        """Each tenant's, and under an empty name that of all together."""
        return {"": self._together} | dict(self._by_tenant)

    def restore(
        self, tenant: str, requests: int, mean: F64, predicted: dict[str, tuple[float, float, float]]
    ) -> None:
        """Continue with a tenant's traffic, as `by_tenant` names it."""
        made = Traffic(self._size)
        made.requests, made.mean, made.predicted = requests, mean, predicted
        if tenant:
            self._by_tenant[tenant] = made
        else:
            self._together = made

    def of(self, tenant: str) -> Traffic:
        """A tenant's traffic; that of all together while it has none."""
        found = self._by_tenant.get(tenant)
        return self._together if found is None or not found.requests else found

    def add(
        self, tenant: str, z: F64, features: Features | None, predicted: Mapping[str, tuple[float, float]]
    ) -> None:
        """Count a request of a tenant."""
        own = self._by_tenant.get(tenant)
        if own is None:
            own = self._by_tenant[tenant] = Traffic(self._size)
            if len(self._by_tenant) > MOST_TENANTS:
                self._by_tenant.popitem(last=False)
        self._by_tenant.move_to_end(tenant)
        for traffic in (own, self._together):
            traffic.add(z, features, predicted)

    def copy(self) -> AllTraffic:
        """The same, independent of this one."""
        made = AllTraffic(self._size)
        made._by_tenant = OrderedDict((name, traffic.copy()) for name, traffic in self._by_tenant.items())
        made._together = self._together.copy()
        return made

    def rebased(self, basis: Basis) -> AllTraffic:
        """The same as another basis sees it."""
        made = AllTraffic(basis.size)
        made._by_tenant = OrderedDict((name, traffic.rebased(basis)) for name, traffic in self._by_tenant.items())
        made._together = self._together.rebased(basis)
        return made
