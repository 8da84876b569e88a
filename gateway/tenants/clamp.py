"""A request as its tenant may make it: what the tenant was promised tightens it, and nothing loosens it."""

from __future__ import annotations

from typing import get_args

from msgspec.structs import replace

from gateway.routing.request import ValidRequest
from gateway.tenants.types import ServedTier, Tenant
from policies.objective import Limits

__all__ = ("clamped", "served_tier")

_TIERS: tuple[ServedTier, ...] = get_args(ServedTier)


def clamped(request: ValidRequest, tenant: Tenant) -> ValidRequest:
    """The request under its tenant's name, limits and service tier."""
    promised = tenant.limits.tightened(Limits(max_cost_usd=tenant.sla.max_cost_usd))
    tier: ServedTier | None = served_tier(request.service_tier or "auto", tenant)
    if request.service_tier is None and tier == "default":
        tier = None  # What is served to all who say nothing need not be said.
    return replace(request, tenant=tenant.id, limits=request.limits.tightened(promised), service_tier=tier)


def served_tier(asked: str, tenant: Tenant) -> ServedTier:
    """The tier that a request is served at: the one asked for, at most the tenant's highest; `auto` is `default`."""
    wanted = _TIERS.index(asked) if asked in _TIERS else _TIERS.index("default")
    return _TIERS[min(wanted, _TIERS.index(tenant.max_service_tier))]
