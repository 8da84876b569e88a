"""Where a variant answers, and how long to wait for it."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ("Endpoint", "Timeouts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """An OpenAI-compatible server: a worker's Unix socket, or a base URL.

    A dataclass and not a msgspec struct, so that the key stays out of `repr` and with it out of logs.
    """

    base_url: str = "http://worker"
    """With or without the trailing `/v1`; for a Unix socket only the `Host` header comes from it."""
    socket_path: str | None = None
    """Unix socket to connect to instead of the URL's host."""
    model: str = ""
    """The model name to put in requests."""
    api_key: str | None = field(default=None, repr=False)
    """Sent as a bearer token."""

    def url(self, path: str) -> str:
        """Full URL of a path such as `/v1/chat/completions` or `/load`."""
        return self.base_url.rstrip("/").removesuffix("/v1") + path


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one call may take. Each that runs out raises `UpstreamTimeoutError`."""

    connect_s: float = 5.0
    """For the connection, name look-up and TLS included."""
    first_s: float = 120.0
    """From the request to the first event of a stream."""
    idle_s: float = 60.0
    """Between two events of a stream; comments that keep the connection alive do not count."""
    total_s: float = 600.0
    """For everything, from the call to the last byte."""
