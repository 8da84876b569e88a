"""What the planner sees: every variant and its workers, frozen at one moment."""

from __future__ import annotations

import msgspec

from backends.types import WorkerState

__all__ = ("RunView", "VariantView")


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process."""

    id: int
    """Grows with each start."""
    revision: str
    """The build it serves."""
    state: WorkerState
    """`loading`, `warm` or `draining`."""
    resident_bytes: int
    """What it takes, or is expected to take before it was measured."""
    in_use: bool = False
    """Whether it has requests."""
    idle_s: float = 0.0
    """Seconds since its last request ended, or since it became warm."""


class VariantView(msgspec.Struct, frozen=True, kw_only=True):
    """One variant."""

    name: str
    revision: str | None
    """The build to serve; None if there is none."""
    wanted: bool
    """Whether a worker should run."""
    evictable: bool
    """Whether it may be stopped to make room: `on_demand` ones may."""
    expected_bytes: int
    """What one more worker of it is going to take."""
    waiters: int = 0
    """Callers waiting for it to be warm."""
    runs: tuple[RunView, ...] = ()
    """Its processes, oldest first."""
    started_before: bool = False
    """Whether it has been warm since the supervisor started."""
    retry_at_s: float = 0.0
    """Not to be started before, after a failure."""
    gave_up: bool = False
    """Failed so often that only somebody asking for it starts it again."""
    idle_stop_s: float | None = None
    """Stop after this long without a request."""

    def in_state(self, state: WorkerState) -> list[RunView]:
        """Its runs in one state, oldest first."""
        return [run for run in self.runs if run.state is state]
