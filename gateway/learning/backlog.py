"""A bounded backlog of several tenants' items: the next one is of the tenant that was served the longest ago."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ("FairBacklog",)

T = TypeVar("T")

_REMEMBERED = 1024
"""Forget the turns of tenants that have nothing waiting above this number."""


class FairBacklog(Generic[T]):
    """Items of one tenant keep their order. No tenant pushes out an item of one that has less waiting than itself."""

    def __init__(self, *, per_tenant: int, total: int) -> None:
        """Start empty.

        Args:
            per_tenant: The most that may wait for one tenant, in units of the items' sizes.
            total: The most that may wait in all.
        """
        self._per_tenant = per_tenant
        self._total = total
        self._waiting: dict[str, deque[tuple[T, int]]] = {}
        self._sizes: dict[str, int] = {}
        self._served: dict[str, int] = {}
        """Number of each tenant's latest turn."""
        self._turns = 0

    def __len__(self) -> int:
        return sum(len(items) for items in self._waiting.values())

    def put(self, tenant: str, item: T, *, size: int = 1) -> list[T]:
        """Add an item as the last of its tenant.

        Returns:
            What was dropped because there is no room: this item, or the newest ones of the tenant that has most.
        """
        if self._sizes.get(tenant, 0) + size > self._per_tenant:
            return [item]
        dropped: list[T] = []
        while sum(self._sizes.values()) + size > self._total:
            most = max(self._sizes, key=self._sizes.__getitem__, default=tenant)
            if most not in self._sizes or self._sizes[most] <= self._sizes.get(tenant, 0) + size:
                return [*dropped, item]
            dropped.append(self._remove(most, -1))
        self._add(tenant, item, size)
        return dropped

    def take(self) -> tuple[str, T] | None:
        """The first item of the tenant whose turn it is, removed; None where nothing waits."""
        tenant = min(self._waiting, key=lambda name: self._served.get(name, 0), default=None)
        if tenant is None:
            return None
        self.serve(tenant)
        return tenant, self._remove(tenant, 0)

    def serve(self, tenant: str) -> None:
        """Note a turn of a tenant, which `take` does by itself."""
        self._turns += 1
        self._served[tenant] = self._turns
        if len(self._served) > _REMEMBERED:
            self._served = {name: turn for name, turn in self._served.items() if name in self._waiting}

    def give_back(self, tenant: str, item: T, *, size: int = 1) -> None:
        """Put an item that was taken and is not finished before all others of its tenant."""
        self._add(tenant, item, size)
        self._waiting[tenant].rotate(1)

    def discard(self, tenant: str, item: T) -> None:
        """Remove an item; does nothing if it does not wait."""
        for number, (waiting, _) in enumerate(self._waiting.get(tenant, ())):
            if waiting is item:
                self._remove(tenant, number)
                return

    def _add(self, tenant: str, item: T, size: int) -> None:
        self._waiting.setdefault(tenant, deque()).append((item, size))
        self._sizes[tenant] = self._sizes.get(tenant, 0) + size

    def _remove(self, tenant: str, number: int) -> T:
        items = self._waiting[tenant]
        item, size = items[number]
        del items[number]
        self._sizes[tenant] -= size
        if not items:
            del self._waiting[tenant], self._sizes[tenant]
        return item
