"""`GET /admin/v1/variants`: what can answer, and how each stands now."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import get
from litestar.di import NamedDependency

from gateway.api.access import needs
from gateway.api.models import described
from gateway.api.openapi import documents
from gateway.routing.catalogue import VariantView
from gateway.services import Services
from gateway.tenants.types import Role

__all__ = ("list_variants",)


@get(
    "/admin/v1/variants",
    opt=documents(None, "All variants, with their load.") | needs(Role.OPERATOR),
)
async def list_variants(services: NamedDependency[Services]) -> dict[str, Any]:
    """List the variants of the configuration, in its order."""
    return {"object": "list", "data": [_shown(view) for view in services.catalogue.views()]}


def _shown(view: VariantView) -> dict[str, Any]:
    now = {
        "in_flight": view.in_flight,
        "circuit_open_s": view.shut_s,
        "restarts": view.status.restarts,
        "load": msgspec.to_builtins(view.status.load),
    }
    return {"object": "variant", "name": view.variant.name} | described(view) | now
