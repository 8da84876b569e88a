"""What a tenant asks for: the mean of its recent requests."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from policies.features.types import Features
from policies.learner.basis import Basis

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
        self.prompt_tokens = 0.0
        """Mean."""
        self.per_limit = 0.0
        """Mean of 1 / the caller's limit on an answer's tokens; 0 where none is given."""
        self._latest: deque[Features] = deque(maxlen=KEPT)

    def add(self, z: F64, features: Features | None, *, prompt_tokens: float, limit_tokens: float | None) -> None:
        """Count a request."""
        self.requests += 1
        step = 1.0 / min(self.requests, MEMORY)
        self.mean += step * (z - self.mean)
        self.prompt_tokens += step * (prompt_tokens - self.prompt_tokens)
        self.per_limit += step * ((1.0 / limit_tokens if limit_tokens else 0.0) - self.per_limit)
        if features is not None:
            self._latest.append(features)

    def copy(self) -> Traffic:
        """The same, independent of this one."""
        made = Traffic(len(self.mean))
        made.requests, made.mean = self.requests, self.mean.copy()
        made.prompt_tokens, made.per_limit = self.prompt_tokens, self.per_limit
        made._latest.extend(self._latest)
        return made

    def rebased(self, basis: Basis) -> Traffic:
        """The same requests as another basis sees them."""
        made = self.copy()
        made.mean = np.zeros(basis.size)
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

    def restore(self, tenant: str, traffic: Traffic) -> None:
        """Continue with a tenant's traffic, as `by_tenant` names it."""
        if tenant:
            self._by_tenant[tenant] = traffic
        else:
            self._together = traffic

    def of(self, tenant: str) -> Traffic:
        """A tenant's traffic; that of all together while it has none."""
        found = self._by_tenant.get(tenant)
        return self._together if found is None or not found.requests else found

    def add(
        self, tenant: str, z: F64, features: Features | None, *, prompt_tokens: float, limit_tokens: float | None
    ) -> None:
        """Count a request of a tenant."""
        own = self._by_tenant.get(tenant)
        if own is None:
            own = self._by_tenant[tenant] = Traffic(self._size)
            if len(self._by_tenant) > MOST_TENANTS:
                self._by_tenant.popitem(last=False)
        self._by_tenant.move_to_end(tenant)
        for traffic in (own, self._together):
            traffic.add(z, features, prompt_tokens=prompt_tokens, limit_tokens=limit_tokens)

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
