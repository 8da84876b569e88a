"""How long places are held, learned from those that were given back."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.admission.types import Ticket

__all__ = ("Pace",)

_NEWEST = 0.1
"""Weight of the newest observation."""

_MOST_OFF = 100.0
"""A prediction is corrected by at most this factor."""


class Pace:
    """Moving averages of the seconds that a place is held: by variant, and by tenant against what was predicted.

    A variant's rate is its places by those seconds; so it is known after hours without a request too.
    """

    def __init__(self) -> None:
        self._held_s: dict[str, float] = {}
        self._off: dict[str, float] = {}

    def learn(self, ticket: Ticket, *, held_s: float) -> None:
        """A place was given back."""
        assert ticket.at is not None
        self._held_s[ticket.at] = _moved(self._held_s.get(ticket.at, held_s), held_s)
        off = min(max(held_s / ticket.service_s, 1 / _MOST_OFF), _MOST_OFF)
        self._off[ticket.tenant] = _moved(self._off.get(ticket.tenant, 1.0), off)

    def cost_s(self, ticket: Ticket) -> float:
        """Seconds for which a request is going to hold its place."""
        return ticket.service_s * self._off.get(ticket.tenant, 1.0)

    def rate(self, ticket: Ticket, places: Mapping[str, int]) -> float:
        """Requests a second that the variants of a request's pool get done together."""
        names = ticket.pool & places.keys()
        return sum(places[name] / max(self._held_s.get(name, ticket.service_s), 1e-6) for name in names)


def _moved(average: float, value: float) -> float:
    return average + _NEWEST * (value - average)
