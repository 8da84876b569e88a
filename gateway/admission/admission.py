"""Lets requests in as variants have room, the fair way."""

from __future__ import annotations

from collections.abc import Collection

from gateway.admission.settings import AdmissionSettings
from gateway.clock import Clock
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange

__all__ = ("Admission",)


class Admission:
    """The queue in front of the variants of this process."""

    def __init__(self, settings: AdmissionSettings, *, catalogue: Catalogue, clock: Clock) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._clock = clock

    async def enter(self, exchange: Exchange, pool: Collection[str]) -> None:
        """Wait until one of these variants has room; the place is given back when the exchange ends.

        Raises:
            UnavailableError: The queue is full, or the request cannot be answered in time.
        """
