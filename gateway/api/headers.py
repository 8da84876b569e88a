"""The response headers that say what was done and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gateway.routing.exchange import Exchange

__all__ = ("response_headers", "server_timing")


def response_headers(exchange: Exchange, *, when: Literal["whole", "stream"]) -> dict[str, str]:
    """Headers of an answer; what is known only at the end of a stream is left to its last chunk.

    Where nothing was decided there is no id: it would lead to nothing in the log.
    """
    if exchange.decision is None and exchange.cache not in {"exact", "semantic"}:
        return exchange.headers
    headers = exchange.headers | {
        "X-Trilemma-Decision": exchange.decision_id,
        "X-Trilemma-Policy": exchange.policy_hash,
        "X-Trilemma-Cache": exchange.cache,
        "X-Trilemma-Trace-Id": exchange.timeline.trace_id,
        "Server-Timing": server_timing(exchange.stages),
    }
    if exchange.variant is not None:
        headers["X-Trilemma-Variant"] = exchange.variant
    if exchange.unchecked:
        headers["X-Trilemma-Unchecked"] = ", ".join(exchange.unchecked)
    if exchange.tries:
        headers["X-Trilemma-Attempts"] = str(exchange.tries)
    if when == "whole":
        headers["X-Trilemma-Cost-Usd"] = f"{exchange.cost_usd:.9f}"
    return headers


def server_timing(stages: Mapping[str, float]) -> str:
    """The stages as a `Server-Timing` value, in milliseconds as that header has them."""
    return ", ".join(f"{name};dur={seconds * 1000:.2f}" for name, seconds in stages.items())
