"""A line in the log for each request: what it was, how it ended, what it took. Never what was said in it."""

from __future__ import annotations

import logging
from typing import Any, Literal

from gateway.telemetry.logs import FIELDS
from gateway.telemetry.seen import Seen

__all__ = ("REQUEST_FIELDS", "RequestLog")

UNLOGGED = ("/livez", "/readyz", "/healthz", "/health", "/metrics", "/console/static")
"""Routes, and what is below them, that are asked over and over."""

REQUEST_FIELDS: dict[str, str] = {
    "request_id": "`X-Request-Id`",
    "trace_id": "of the trace that the request belongs to",
    "method": "of HTTP",
    "route": "path as it was declared, without what stood in its place",
    "status": "of the answer; 0 where none was begun",
    "duration_s": "from arrival to the last byte",
    "tenant": "who asked",
    "decision_id": "in the decision log",
    "variant": "who answered, or was tried last",
    "ending": "done, failed, cancelled or stopped",
    "error_type": "why it failed",
    "cache": "exact, semantic, miss or bypass",
    "attempts": "variants tried",
    "queue_s": "wait for a variant to have room",
    "ttft_s": "time to the first token of a stream",
    "prompt_tokens": "as the variant counted",
    "completion_tokens": "as the variant counted",
    "cost_usd": "of all attempts",
    "kept": "why the trace was kept, where it was",
}
"""What a line says; what is not known is left out."""

logger = logging.getLogger("gateway.requests")


class RequestLog:
    """A reporter that writes the line."""

    def __init__(self, which: Literal["all", "failures"]) -> None:
        self._which = which

    def __call__(self, seen: Seen) -> None:
        """Write the line of a request that has ended."""
        outcome = seen.outcome
        failed = seen.status >= 400 or (outcome is not None and outcome.error_type is not None)
        if seen.route.startswith(UNLOGGED) or (self._which == "failures" and not failed):
            return
        level = logging.WARNING if seen.status >= 500 else logging.INFO
        logger.log(level, "request", extra={FIELDS: _told(seen)})


def _told(seen: Seen) -> dict[str, Any]:
    exchange, outcome = seen.exchange, seen.outcome
    told: dict[str, Any] = {
        "request_id": seen.request_id,
        "trace_id": seen.timeline.trace_id,
        "method": seen.method,
        "route": seen.route,
        "status": seen.status,
        "duration_s": round(seen.duration_s, 6),
        "tenant": seen.tenant,
        "kept": seen.kept,
    }
    if exchange is not None and outcome is not None:
        told |= {
            "decision_id": outcome.decision_id,
            "variant": outcome.variant,
            "ending": str(outcome.ending),
            "error_type": outcome.error_type,
            "cache": outcome.cache,
            "attempts": len(outcome.attempts),
            "queue_s": round(outcome.queue_s, 6),
            "ttft_s": None if outcome.ttft_s is None else round(outcome.ttft_s, 6),
            "prompt_tokens": outcome.prompt_tokens,
            "completion_tokens": outcome.completion_tokens,
            "cost_usd": outcome.cost_usd,
        }
    return {name: told[name] for name in REQUEST_FIELDS if told.get(name) is not None}
