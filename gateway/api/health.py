"""Whether the process lives, and whether it can answer a request."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from backends.types import VariantStatus, WorkerState
from gateway.api.access import OPEN
from gateway.api.openapi import documents
from gateway.routing.catalogue import VariantView
from gateway.services import Services

__all__ = ("livez", "readyz")

_ANSWERING = {WorkerState.WARM, WorkerState.COLD}
"""A cold variant answers too, after it has been started."""


@get(["/livez", "/health/liveliness"], opt=documents(None, "The process runs.") | OPEN)
async def livez() -> dict[str, str]:
    """Say that the process runs."""
    return {"status": "ok"}


@get(["/readyz", "/healthz", "/health/readiness"], opt=documents(None, "A variant can answer.") | OPEN)
async def readyz(services: NamedDependency[Services]) -> Response[dict[str, Any]]:
    """Say whether at least one variant can answer, and how each stands."""
    views = services.catalogue.views()
    ready = not services.stopping and any(_answers(view) for view in views)
    status = "ready" if ready else "stopping" if services.stopping else "starting"
    body = {"status": status, "variants": {v.variant.name: _stand(v.status) for v in views}}
    return Response(body, status_code=200 if ready else 503)


def _answers(view: VariantView) -> bool:
    return view.status.state in _ANSWERING and not view.variant.embeds_only


def _stand(status: VariantStatus) -> dict[str, Any]:
    return {"state": status.state, "progress": status.progress, "message": status.message}
