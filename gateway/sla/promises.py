"""What each tenant's promises ask of its next request."""

from __future__ import annotations

from gateway.clock import Clock
from gateway.tenants.types import Tenant
from policies.prices import NO_PRICES, Prices
from policies.types import Limits

__all__ = ("Promises",)


class Promises:
    """Follows the answers of each tenant in this process. For the event loop's thread only."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    def limits(self, tenant: Tenant) -> Limits:
        """What no request of the tenant may break."""
        return tenant.limits

    def prices(self, tenant: Tenant) -> Prices:
        """What a second, a dollar and a bit of quality are worth to the tenant now."""
        return NO_PRICES
