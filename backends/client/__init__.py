"""The one client of every variant: an OpenAI-compatible server, on a worker's Unix socket or at a URL.

`VariantClient` sends, `EventStream` reads a streamed answer, `mapping` turns every failure into `backends.errors`.
"""

from __future__ import annotations

from backends.client.endpoint import Endpoint, Timeouts
from backends.client.stream import EventStream
from backends.client.variant import VariantClient

__all__ = ("Endpoint", "EventStream", "Timeouts", "VariantClient")
