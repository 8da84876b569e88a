"""What to do next: a pure function from how things stand to the next steps. It is asked again after every change.

A variant that is wanted has one worker of its current build. A new build is started beside the old one, which goes
once the new one is warm: no request fails for a better checkpoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from backends.supervisor.memory import resident_bytes, room_for
from backends.supervisor.views import RunView, VariantView
from backends.types import WorkerState

__all__ = (
    "MAX_BACKOFF_S",
    "MAX_FAILURES",
    "STABLE_S",
    "Refuse",
    "Rest",
    "Retire",
    "Start",
    "Step",
    "backoff_s",
    "plan",
)

FIRST_BACKOFF_S = 0.2
MAX_BACKOFF_S = 30.0
STABLE_S = 60.0
"""After being warm for this long, earlier failures are forgotten."""
MAX_FAILURES = 8
"""After so many failures in a row a variant is left alone until somebody asks for it or a new build appears."""


class Start(msgspec.Struct, frozen=True):
    """Start a worker of the current build."""

    name: str


class Retire(msgspec.Struct, frozen=True):
    """Let one worker finish its requests and end."""

    name: str
    run_id: int


class Rest(msgspec.Struct, frozen=True):
    """Stop wanting a variant: its workers retire, and the next request starts it again."""

    name: str
    reason: Literal["idle", "memory"]


class Refuse(msgspec.Struct, frozen=True):
    """A variant is wanted and cannot be had."""

    name: str
    reason: str
    """For a person, with figures."""


Step = Start | Retire | Rest | Refuse


def backoff_s(failures: int) -> float:
    """Seconds to wait before the next start after so many failures in a row."""
    return min(FIRST_BACKOFF_S * 2.0 ** (failures - 1), MAX_BACKOFF_S) if failures else 0.0


def plan(variants: Sequence[VariantView], *, now_s: float, budget_bytes: int) -> list[Step]:
    """The next steps. Carry them out and ask again, until there are none but refusals.

    Args:
        variants: In the order in which they are to start.
        now_s: On the clock of `retry_at_s`.
        budget_bytes: What all workers together may take.
    """
    steps: list[Step] = []
    for variant in variants:
        steps += [Retire(variant.name, run.id) for run in _superfluous(variant)]
        if _is_idle(variant):
            steps.append(Rest(variant.name, "idle"))
    for variant in _startable(variants, now_s=now_s):
        found = _start(variant, variants, budget_bytes=budget_bytes)
        steps += found
        if any(not isinstance(step, Refuse) for step in found):
            # What this takes or frees has to be seen before the next one is judged.
            break
    return steps


def _superfluous(variant: VariantView) -> list[RunView]:
    """Workers that have no purpose any more."""
    loading, warm = variant.in_state(WorkerState.LOADING), variant.in_state(WorkerState.WARM)
    if not variant.wanted:
        return loading + warm
    outdated = [run for run in loading if variant.revision not in (None, run.revision)]
    return outdated + warm[:-1]


def _is_idle(variant: VariantView) -> bool:
    if variant.idle_stop_s is None or not variant.wanted or variant.waiters:
        return False
    if variant.in_state(WorkerState.LOADING):
        return False
    warm = variant.in_state(WorkerState.WARM)
    return bool(warm) and all(not run.in_use and run.idle_s >= variant.idle_stop_s for run in warm)


def _startable(variants: Sequence[VariantView], *, now_s: float) -> list[VariantView]:
    """Variants that lack a worker of their current build and may start now, those that callers wait for first."""
    loading = any(variant.in_state(WorkerState.LOADING) for variant in variants)
    found = [variant for variant in variants if _lacks_worker(variant) and _may_start(variant, now_s=now_s)]
    # First starts go one after another: two cores load three models no faster together, and none serves early.
    found = [variant for variant in found if variant.waiters or variant.started_before or not loading]
    return sorted(found, key=lambda variant: not variant.waiters)


def _lacks_worker(variant: VariantView) -> bool:
    if not variant.wanted or variant.revision is None:
        return False
    live = variant.in_state(WorkerState.LOADING) + variant.in_state(WorkerState.WARM)
    return all(run.revision != variant.revision for run in live)


def _may_start(variant: VariantView, *, now_s: float) -> bool:
    return now_s >= variant.retry_at_s and (not variant.gave_up or variant.waiters > 0)


def _start(variant: VariantView, variants: Sequence[VariantView], *, budget_bytes: int) -> list[Step]:
    room = room_for(variant, variants, budget_bytes=budget_bytes)
    if room.fits:
        return [Start(variant.name)]
    if room.possible:
        return [Rest(name, "memory") for name in room.evict]
    own = variant.in_state(WorkerState.WARM)
    if own and _fits_instead(variant, variants, budget_bytes=budget_bytes):
        # No room for old and new side by side: the old one goes first, when nobody uses it.
        return [Retire(variant.name, run.id) for run in own if not run.in_use]
    needed, taken = variant.expected_bytes / 2**20, resident_bytes(variants) / 2**20
    reason = f"needs about {needed:.0f} MiB; {taken:.0f} of {budget_bytes / 2**20:.0f} MiB are taken"
    return [Refuse(variant.name, f"{reason} by variants that stay")]


def _fits_instead(variant: VariantView, variants: Sequence[VariantView], *, budget_bytes: int) -> bool:
    without = [msgspec.structs.replace(each, runs=()) if each.name == variant.name else each for each in variants]
    return room_for(variant, without, budget_bytes=budget_bytes).possible
