"""The headers that every answer below `/console` carries, whatever the answer is."""

from __future__ import annotations

from litestar.types import Message, Scope

__all__ = ("CHART_POLICY", "CONTENT_POLICY", "add_security_headers")

PREFIX = "/console"

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
"""Nothing from elsewhere, nothing inline, and no page may frame ours."""

EMPTY_SHA256 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

PROBE_SHA256 = "ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o="

CHART_POLICY = CONTENT_POLICY.replace(
    "style-src 'self'", f"style-src 'self' 'unsafe-hashes' 'sha256-{EMPTY_SHA256}' 'sha256-{PROBE_SHA256}'"
)
"""For pages with a chart. plotly.js adds an empty style element and fills it through the object model, which no
policy forbids: the first digest is that of the empty text, so an element with anything in it is refused as before. It
also tries by one attribute how images are scaled: the second digest is that of its text (`image-rendering`), and
`unsafe-hashes` means that digests count for attributes too. Any other inline style is refused."""

_HEADERS = {
    b"content-security-policy": CONTENT_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    # With `no-referrer` browsers send `Origin: null` with forms, and it could not be checked.
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"x-frame-options": b"DENY",
    b"cache-control": b"no-store",
}
"""Each where the handler has not set its own."""


async def add_security_headers(message: Message, scope: Scope) -> None:
    """A hook that sees every message before it is sent."""
    if message["type"] == "http.response.start" and scope["path"].startswith(PREFIX):
        headers = list(message["headers"])
        there = {name.lower() for name, _ in headers}
        message["headers"] = [*headers, *((name, value) for name, value in _HEADERS.items() if name not in there)]
