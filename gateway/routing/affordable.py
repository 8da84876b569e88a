"""Which variants cost at most more than a tenant has left: they are no candidates while another one is affordable."""

from __future__ import annotations

from collections.abc import Iterable

from backends.types import Variant
from gateway.ledger.bound import LEAST_S, bound
from gateway.routing.request import ValidRequest
from gateway.tenants.types import Tenant

__all__ = ("unaffordable",)


def unaffordable(
    tenant: Tenant, request: ValidRequest, variants: Iterable[Variant], *, available_usd: float | None
) -> frozenset[str]:
    """Names of those for which the ledger would refuse to set the money aside.

    Args:
        tenant: Who pays.
        request: What is asked.
        variants: Those that may answer it.
        available_usd: What may still be set aside; None without a budget.

    Returns:
        None of them where all are: the ledger then says what is missing.
    """
    if available_usd is None:
        return frozenset()
    asked = list(variants)
    short = {variant.name for variant in asked if not _fits(tenant, request, variant, available_usd)}
    return frozenset(short) if len(short) < len(asked) else frozenset()


def _fits(tenant: Tenant, request: ValidRequest, variant: Variant, available_usd: float) -> bool:
    tokens = variant.context_tokens
    whole = {"prompt_tokens": tokens * max(1, request.turns), "completion_tokens": tokens * request.choices}
    if variant.price.cost_usd(**whole, busy_s=LEAST_S) <= available_usd:
        return True  # Whatever its length: that spares most requests a closer look.
    return bound(tenant, variant, request, predicted_s=0.0, remaining_s=LEAST_S).usd <= available_usd
