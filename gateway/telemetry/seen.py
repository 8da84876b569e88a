"""A request that has ended, as whoever reports on requests is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.datastructures import Headers

from gateway.decisions.types import OutcomeRow
from gateway.routing.exchange import Exchange
from gateway.telemetry.timeline import Timeline
from gateway.traces.types import Kept

__all__ = ("Seen",)


@dataclass(kw_only=True, slots=True)
class Seen:
    """What there is to tell of an HTTP request, after its last byte."""

    method: str
    route: str
    """The path as it was declared, such as `/v1/decisions/{decision_id}`; `unmatched` where no route was found."""
    status: int
    """Of the answer; 0 where none was begun."""
    request_id: str
    headers: Headers
    """Of the caller; only those of `names.HEADERS` may be told."""
    timeline: Timeline
    """Its root has ended."""
    tenant: str | None
    """None where nobody was let in."""
    exchange: Exchange | None
    """None for what asks no variant, and for what was refused before it could be read."""

    kept: Kept | None = None
    """Why its trace is kept; set by who keeps traces, who is told first."""

    @property
    def outcome(self) -> OutcomeRow | None:
        """What became of the exchange."""
        return None if self.exchange is None else self.exchange.outcome

    @property
    def duration_s(self) -> float:
        """From the request's arrival to its answer's last byte."""
        return self.timeline.root.duration_s
