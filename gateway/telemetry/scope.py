"""What travels with a request through the framework: its timeline, and its exchange once there is one."""

from __future__ import annotations

from litestar.types import Scope

from gateway.routing.exchange import Exchange
from gateway.telemetry.timeline import Timeline

__all__ = ("attach_exchange", "attach_timeline", "exchange_of", "timeline_of")

_TIMELINE, _EXCHANGE = "timeline", "exchange"


def attach_timeline(scope: Scope, timeline: Timeline) -> None:
    """Let the request have this timeline."""
    scope["state"][_TIMELINE] = timeline


def timeline_of(scope: Scope) -> Timeline:
    """The request's timeline; one that begins now where nobody watches the application from outside."""
    found: Timeline = scope["state"].setdefault(_TIMELINE, None) or Timeline()
    scope["state"][_TIMELINE] = found
    return found


def attach_exchange(scope: Scope, exchange: Exchange) -> None:
    """Let it be known what became of the request."""
    scope["state"][_EXCHANGE] = exchange


def exchange_of(scope: Scope) -> Exchange | None:
    """What became of the request; None where it asked no variant."""
    found: Exchange | None = scope["state"].get(_EXCHANGE)
    return found
