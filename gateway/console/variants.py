"""Page."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.datastructures import State

from gateway.console.access import PAGE
from gateway.console.render import page

__all__ = ("variants",)


@get("/variants", opt=PAGE)
async def variants(request: Request[Any, Any, State]) -> Response[str]:
    """Page."""
    return page(request, "variants.html", here="variants")
