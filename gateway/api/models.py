"""`GET /v1/models`: the names `model` may have, with how each variant stands and measured."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.access import needs, principal
from gateway.api.openapi import documents
from gateway.errors import ModelNotFoundError
from gateway.routing.catalogue import VariantView
from gateway.services import Services
from gateway.tenants.types import Role, Tenant

__all__ = ("described", "list_models", "show_model")


@get("/v1/models", opt=documents(None, "All names that `model` may have.") | needs(Role.CALLER))
async def list_models(request: Request[Any, Any, State], services: NamedDependency[Services]) -> dict[str, Any]:
    """List `auto`, the aliases and the variants, as far as the caller's tenant may use them."""
    tenant = principal(request).tenant
    return {"object": "list", "data": [_describe(name, services, tenant) for name in _usable(services, tenant)]}


@get("/v1/models/{model:path}", opt=documents(None, "One name that `model` may have.") | needs(Role.CALLER))
async def show_model(
    model: FromPath[PurePath], request: Request[Any, Any, State], services: NamedDependency[Services]
) -> dict[str, Any]:
    """Describe one of them; an alias may hold slashes."""
    name, tenant = str(model).lstrip("/"), principal(request).tenant
    if name not in (known := _usable(services, tenant)):
        raise ModelNotFoundError(name, known=known)
    return _describe(name, services, tenant)


def _usable(services: Services, tenant: Tenant) -> list[str]:
    """Names behind which there is a variant that the tenant may use."""
    return [name for name in services.decider.models if _reachable(name, services, tenant)]


def _reachable(name: str, services: Services, tenant: Tenant) -> frozenset[str]:
    reachable = services.decider.reachable(name)
    return reachable if tenant.variants is None else reachable.intersection(tenant.variants)


def _describe(name: str, services: Services, tenant: Tenant) -> dict[str, Any]:
    catalogue = services.catalogue
    if name in catalogue.names:
        detail = described(catalogue.view(name))
    else:
        detail = {"kind": "alias", "variants": sorted(_reachable(name, services, tenant))}
    created_s = round(services.started_at_s)
    return {"id": name, "object": "model", "created": created_s, "owned_by": "trilemma", "trilemma": detail}


def described(view: VariantView) -> dict[str, Any]:
    """What a variant is, how it stands, and how it measured."""
    variant, status = view.variant, view.status
    return {
        "kind": variant.kind,
        "engine": variant.engine,
        "context_tokens": variant.context_tokens,
        "state": status.state,
        "message": status.message,
        "progress": status.progress,
        "price": msgspec.to_builtins(variant.price),
        "card": msgspec.to_builtins(view.card) if view.card else None,
    }
