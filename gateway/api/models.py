"""`GET /v1/models`: the names `model` may have, with how each variant stands and measured."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from gateway.api.access import needs
from gateway.api.openapi import documents
from gateway.errors import ModelNotFoundError
from gateway.routing.catalogue import VariantView
from gateway.services import Services
from gateway.tenants.types import Role

__all__ = ("list_models", "show_model")


@get("/v1/models", opt=documents(None, "All names that `model` may have.") | needs(Role.CALLER))
async def list_models(services: NamedDependency[Services]) -> dict[str, Any]:
    """List `auto`, the aliases and the variants."""
    return {"object": "list", "data": [_describe(name, services) for name in services.decider.models]}


@get("/v1/models/{model:path}", opt=documents(None, "One name that `model` may have.") | needs(Role.CALLER))
async def show_model(model: FromPath[PurePath], services: NamedDependency[Services]) -> dict[str, Any]:
    """Describe one of them; an alias may hold slashes."""
    name = str(model).lstrip("/")
    if name not in services.decider.models:
        raise ModelNotFoundError(name, known=services.decider.models)
    return _describe(name, services)


def _describe(name: str, services: Services) -> dict[str, Any]:
    catalogue = services.catalogue
    if name in catalogue.names:
        detail = _variant(catalogue.view(name))
    else:
        detail = {"kind": "alias", "variants": sorted(services.decider.reachable(name))}
    created_s = round(services.started_at_s)
    return {"id": name, "object": "model", "created": created_s, "owned_by": "trilemma", "trilemma": detail}


def _variant(view: VariantView) -> dict[str, Any]:
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
