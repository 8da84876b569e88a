"""Page."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State

from gateway.console.access import PAGE
from gateway.console.render import page

__all__ = ("overview",)


@get("/", opt=PAGE)
async def overview(request: Request[Any, Any, State]) -> Response[str]:
    """Page."""
    return page(request, "overview.html", here="overview")
