"""Who is told of requests that have ended."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from gateway.metrics.metrics import Metrics
from gateway.telemetry.request_log import RequestLog
from gateway.telemetry.settings import TelemetrySettings
from gateway.telemetry.telemetry import Reporter
from gateway.telemetry.tracing import Tracing

__all__ = ("reporters_of",)


def reporters_of(settings: TelemetrySettings, *, tracing: Tracing, registry: CollectorRegistry) -> list[Reporter]:
    """All that are configured; tracing first, for the others tell which traces are kept."""
    found: list[Reporter] = [tracing]
    if settings.metrics:
        found.append(Metrics(registry))
    if settings.request_log != "none":
        found.append(RequestLog(settings.request_log))
    return found
