"""Whether a request comes from this machine's own users: what counts while no tenant is configured.

The address alone does not tell. A reverse proxy on this machine forwards the requests of others, and mostly says so
in a header; one that says nothing cannot be told from a program of this machine, which the documentation warns of. A
browser on this machine sends what any web page asks it to, and says so in `Origin`, or, where a name of the page's
own was made to lead here, in `Host`.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import Headers

__all__ = ("is_local",)

FORWARDED = (
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-original-forwarded-for",
    "x-real-ip",
)
"""What proxies call themselves or their clients by; the beginnings of names."""


def is_local(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether somebody on this machine sent the request, with a program that speaks for itself."""
    headers = connection.headers
    # Without an address nobody knows where it came from: the gateway listens on TCP only.
    client = connection.client.host if connection.client else ""
    return (
        _is_loopback(client)
        and not any(name.startswith(FORWARDED) for name in headers)
        and _leads_here(f"//{headers.get('host', 'localhost')}")
        and _leads_here(headers.get("origin", "//localhost"))
        and not _from_elsewhere(headers)
    )


def _leads_here(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or _is_loopback(host)


def _from_elsewhere(headers: Headers) -> bool:
    """A browser says whose page it was; the console's own is `same-origin`."""
    return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
