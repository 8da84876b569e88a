"""What is asked of a tenant's quotas, and what they say."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from gateway.tenants.types import Quotas

__all__ = ("Ask", "QuotaStore", "Refused", "Reply", "Settlement")

Refused = Literal["requests", "tokens", "concurrent"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Room for a request, or for a further attempt of one that has been let in."""

    tenant: str
    quotas: Quotas
    lease: str
    """Names the request while it is at work."""
    requests: Literal[0, 1] = 1
    """0 for a further attempt: it asks for tokens only."""
    tokens: int
    """At most."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: all is reserved, or nothing."""

    refused: Refused | None
    """The quota that has no room; None where all was reserved."""
    second: int
    """Second of the counting clock under which it was counted."""
    retry_after_s: float
    """Until there is room, should nobody else take it; 0 where nothing was refused."""
    requests_wait_s: float
    """Until there is room for one more request; 0 where there is some."""
    requests_left: int
    requests_reset_s: float
    """Until none of the last minute's requests counts any more."""
    tokens_left: int
    tokens_reset_s: float


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What is given back when a request has ended."""

    tenant: str
    lease: str
    tokens: dict[int, int]
    """Tokens to add, by the second they were counted under; negative where less was used than reserved."""


class QuotaStore(Protocol):
    """Keeps the counts: in this process, or in Redis for all replicas."""

    async def reserve(self, ask: Ask) -> Reply:
        """Reserve everything asked for, at once, or nothing."""
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Give back what was not used."""
        ...

    async def renew(self, leases: dict[str, list[str]]) -> None:
        """Say which requests are still at work, by tenant."""
        ...
