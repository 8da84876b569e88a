"""The `telemetry` section: what is kept and told of requests."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from policies.objective import Ratio

__all__ = ("OtlpSettings", "TelemetrySettings", "TraceSettings")


class TraceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests' traces are kept in the database, and for how long."""

    enabled: bool = True
    """Keep traces, and send them on where `otlp` is set."""
    sample: Ratio = 0.01
    """Share kept of the requests that are neither slow nor failed nor escalated, which are all kept; by trace id, so
    that several gateways choose the same ones."""
    max_rows: Annotated[int, Meta(ge=100)] = 100_000
    """Most traces kept; the oldest go first."""
    max_bytes: Annotated[int, Meta(ge=1_000_000)] = 512 * 1024 * 1024
    """Most bytes they may take in the database; the oldest go first."""
    max_age_s: Annotated[float, Meta(ge=60)] = 7 * 86_400.0
    """Older traces are removed."""
    max_per_s: Annotated[float, Meta(gt=0)] = 100.0
    """Most traces kept in a second, for each reason to keep one; a flood of failures must not fill the disk."""


class OtlpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A collector that kept traces are sent to."""

    endpoint: str
    """URL, such as `http://localhost:4317` for gRPC or `http://localhost:4318` for HTTP."""
    protocol: Literal["grpc", "http"] = "grpc"
    """How it is spoken to; protocol buffers in both cases."""
    headers: dict[str, str] = {}
    """Sent along; `env:NAME` takes a value from the environment."""
    timeout_s: Annotated[float, Meta(gt=0, le=60)] = 10.0
    """Longest a batch may take."""
    max_queue: Annotated[int, Meta(ge=1)] = 4096
    """Spans that may wait to be sent; further ones are dropped."""
    service_name: str = "trilemma"
    """The name of this gateway among other services."""


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `telemetry` section."""

    traces: TraceSettings = TraceSettings()
    """Traces kept here."""
    otlp: OtlpSettings | None = None
    """Where kept traces are sent as well."""
    trace_url: Annotated[str, Meta(pattern=r"^https?://[!-~]*\{trace_id\}[!-~]*$")] | None = None
    """Where a trace is shown by whoever collects them, such as `http://jaeger:16686/trace/{trace_id}`: the console
    links there."""
    metrics: bool = True
    """Count for `/metrics`."""
    logs: Literal["json", "text"] = "text"
    """Form of the log on standard error."""
    request_log: Literal["all", "failures", "none"] = "all"
    """Which requests get a line in the log."""
