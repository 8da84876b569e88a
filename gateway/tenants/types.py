"""A tenant as the rest of the gateway knows it, and the principal that a key stands for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from policies.objective import Limits, Ratio
from policies.promises.types import Sla

__all__ = ("ANYONE", "Principal", "Quotas", "Role", "SemanticCaching", "ServedTier", "Spend", "Tenant", "TenantId")

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
TenantId = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}(?!\n)$")]  # `$` alone lets a line end through.
ServedTier = Literal["flex", "default", "priority"]
"""Urgency in the queue, lowest first."""


class Role(StrEnum):
    """What a key may do; each may do what those before it may."""

    CALLER = "caller"
    """Send requests, and see what became of its own tenant's."""
    OPERATOR = "operator"
    """Also read and publish policies, and see every tenant's decisions and traces."""
    ADMIN = "admin"
    """Also manage tenants and their keys."""


class Quotas(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a tenant may ask for. None is without limit."""

    requests_per_min: Count | None = None
    """Requests begun within any minute."""
    feedback_per_min: Count | None = None
    """Judgements sent within any minute; None: as many as `requests_per_min`."""
    tokens_per_min: Count | None = None
    """Prompt and generated tokens within any minute."""
    concurrent: Count | None = None
    """Requests at the same time."""


class Spend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tenant may spend per period; periods begin at multiples of their length since the Unix epoch (UTC)."""

    usd: Positive
    """US dollars per period."""
    period_s: Positive = 86_400.0
    """Seconds."""
    without_ledger: Literal["closed", "last_known"] = "closed"
    """While the ledger cannot be reached: refuse what is not reserved yet, or go on by what was known last."""


class SemanticCaching(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Answers for prompts that mean the same."""

    threshold: Ratio = 0.95
    """Least cosine similarity of two prompts that count as the same; a caller may only tighten it."""
    ttl_s: Positive = 3600.0
    """Seconds for which an answer may be given again."""


class Tenant(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tenant: what it was promised and what it may ask for. Also an entry of the `tenants` section."""

    id: TenantId
    """Names it in rules, logs and reports."""
    sla: Sla = Sla()
    """What it was promised."""
    limits: Limits = Limits()
    """Hold for every request; a request may tighten, never loosen them."""
    quotas: Quotas = Quotas()
    """How much it may ask for."""
    budget: Spend | None = None
    """What it may spend; None is without limit."""
    max_service_tier: ServedTier = "default"
    """A request that asks for more urgency is served at this tier."""
    variants: Annotated[tuple[str, ...], Meta(min_length=1)] | None = None
    """The only variants that may answer it; None is all."""
    weight: Positive = 1.0
    """Its share of a busy pool against other tenants'."""
    content: Literal["never", "traced"] = "never"
    """Whether prompts and answers may be told in the traces that are kept, and are sent on."""
    semantic_cache: SemanticCaching | None = None
    """None: answers are only given again for the very same request."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who a request comes from, proven; there is none without a tenant and a role."""

    tenant: Tenant
    role: Role
    key_id: str | None = None
    """The key it was proven by; None for the loopback while no tenant is configured."""


ANYONE = Principal(tenant=Tenant(id="default", max_service_tier="priority"), role=Role.ADMIN)
"""Whoever comes over the loopback while no tenant is configured."""
