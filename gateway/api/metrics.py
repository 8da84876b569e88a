"""`GET /metrics`: for Prometheus."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.di import NamedDependency

from gateway.api.access import needs
from gateway.api.openapi import documents
from gateway.services import Services
from gateway.tenants.types import Role

__all__ = ("metrics",)


@get("/metrics", opt=documents(None, "All metrics, as text.") | needs(Role.OPERATOR))
async def metrics(request: Request[Any, Any, State], services: NamedDependency[Services]) -> Response[bytes]:
    """Tell all metrics, those of the processes that share this port included.

    With tenants it takes an operator's key, which Prometheus sends as a bearer token: tenants' names and spending are
    nobody else's business.
    """
    text, content_type = await services.exposition.text(request.headers.get("accept", ""))
    return Response(text, media_type=content_type)
