"""Single flight: of many identical requests one makes the answer, and the others wait for it.

If the one that leads fails or is cut, exactly one of those who wait goes on in its place. If its answer is none that
the others can have, all of them go on by themselves: one after the other would take as long as all of them together.
Nothing here outlives its process: every replica has one flight of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Generic, TypeVar

__all__ = ("Flights", "Lead", "Turn")

T = TypeVar("T")


class Turn(Enum):
    """What to do about an answer that is not there."""

    LEAD = "lead"
    """Make it, within `led`."""
    ALONE = "alone"
    """Make it for nobody else."""


class Lead(Generic[T]):
    """The one that makes the answer says here what came of it."""

    def __init__(self) -> None:
        self.brought: T | None = None
        """What everybody has."""
        self.ended = False

    def landed(self, value: T | None) -> None:
        """The answer is there; None is one that the others cannot have."""
        self.brought, self.ended = value, True


class Flights(Generic[T]):
    """The answers that are being made now. For the event loop's thread only."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, deque[asyncio.Future[T | Turn]]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def takes_off(self, key: Hashable) -> bool:
        """Whether nobody is at it yet: then the caller leads."""
        if key in self._flights:
            return False
        self._flights[key] = deque()
        return True

    async def wait(self, key: Hashable, *, timeout_s: float) -> T | Turn:
        """What the one that leads brings home, or the turn that its end leaves to the caller."""
        future: asyncio.Future[T | Turn] = asyncio.get_running_loop().create_future()
        self._flights[key].append(future)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return Turn.ALONE if future.cancelled() else future.result()
        except BaseException:
            if not future.cancelled() and future.done() and future.result() is Turn.LEAD:
                self._pass_on(key)  # Called upon in the moment of being cut: the next one shall go.
            raise

    @contextmanager
    def led(self, key: Hashable) -> Iterator[Lead[T]]:
        """Make the answer within; whoever waits has what it brings, and the next one leads if it ends without."""
        lead: Lead[T] = Lead()
        try:
            yield lead
        finally:
            if lead.ended:
                result = Turn.ALONE if lead.brought is None else lead.brought
                for future in self._flights.pop(key):
                    if not future.done():
                        future.set_result(result)
            else:
                self._pass_on(key)

    def _pass_on(self, key: Hashable) -> None:
        waiting = self._flights[key]
        while waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(Turn.LEAD)
                return
        del self._flights[key]
