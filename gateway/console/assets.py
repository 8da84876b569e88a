"""Style sheets, scripts and icons, served from memory; their addresses change with their content."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import FromPath

from gateway.api.access import OPEN
from gateway.errors import NotFoundError

__all__ = ("Asset", "asset", "asset_url", "load_assets")

PLOTLY = "plotly.min.js"
"""Comes with the package of that name."""

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One file, as it is sent."""

    media_type: str
    plain: bytes
    version: str
    """Of its content."""


@cache
def load_assets() -> Mapping[str, Asset]:
    """All of them by name; reads the disk, so it is called before the event loop runs."""
    own = resources.files("gateway.console") / "static"
    found = {entry.name: entry.read_bytes() for entry in own.iterdir() if Path(entry.name).suffix in TYPES}
    return {name: _asset(name, content) for name, content in (found | {PLOTLY: _plotly()}).items()}


def asset_url(name: str) -> str:
    """Where a page finds one of them.

    Raises:
        KeyError: There is none of this name.
    """
    return f"/console/static/{name}?v={load_assets()[name].version}"


@get("/static/{name:str}", opt=OPEN)
async def asset(name: FromPath[str], request: Request[object, object, State]) -> Response[bytes]:
    """Send one of them."""
    found = load_assets().get(name)
    if found is None:
        raise NotFoundError(f"the console has no file `{name}`")
    current = request.query_params.get("v") == found.version
    headers = {"Cache-Control": FOR_EVER if current else "no-store", "Vary": "Accept-Encoding"}
    packed = "gzip" in request.headers.get("accept-encoding", "")
    if packed:
        headers["Content-Encoding"] = "gzip"
    content = await asyncio.to_thread(_packed, name) if packed else found.plain
    return Response(content, media_type=found.media_type, headers=headers)


@cache
def _packed(name: str) -> bytes:
    """Packed when it is asked for first: that takes a while for the largest."""
    return gzip.compress(load_assets()[name].plain, 6, mtime=0)


def _asset(name: str, content: bytes) -> Asset:
    return Asset(
        media_type=TYPES[Path(name).suffix],
        plain=content,
        version=hashlib.sha256(content).hexdigest()[:12],
    )


def _plotly() -> bytes:
    """Read where it lies: importing the package would take long, and nothing of it is called."""
    spec = importlib.util.find_spec("plotly")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package `plotly` is not installed, which carries the script that draws charts")
    return (Path(spec.origin).parent / "package_data" / PLOTLY).read_bytes()
