"""A request that has ended, as whoever reports on requests is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.decisions.types import OutcomeRow
from gateway.routing.exchange import Exchange
from gateway.telemetry.timeline import Timeline

__all__ = ("Seen",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What there is to tell of an HTTP request, after its last byte."""

    method: str
    route: str
    """The path as it was declared, such as `/v1/decisions/{decision_id}`; `unmatched` where no route was found."""
    status: int
    """Of the answer; 0 where none was begun."""
    request_id: str
    timeline: Timeline
    """Its root has ended."""
    tenant: str | None
    """None where nobody was let in."""
    exchange: Exchange | None
    """None for what asks no variant, and for what was refused before it could be read."""

    @property
    def outcome(self) -> OutcomeRow | None:
        """What became of the exchange."""
        return None if self.exchange is None else self.exchange.outcome

    @property
    def duration_s(self) -> float:
        """From the request's arrival to its answer's last byte."""
        return self.timeline.root.duration_s
