"""Whether another worker fits into the memory budget, and who has to go for it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backends.supervisor.views import RunView, VariantView
from backends.types import WorkerState

__all__ = ("EVICT_AFTER_IDLE_S", "Room", "resident_bytes", "room_for")

EVICT_AFTER_IDLE_S = 2.0
"""A worker used more recently is not evicted, or two variants in turn would evict each other."""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    fits: bool
    """It can start now."""
    possible: bool
    """It can start now or later, without stopping a variant that must stay."""
    evict: tuple[str, ...] = ()
    """Variants to stop for it, the least recently used first."""


def resident_bytes(variants: Sequence[VariantView]) -> int:
    """What all processes take together, those on their way out included."""
    return sum(run.resident_bytes for variant in variants for run in variant.runs)


def room_for(variant: VariantView, variants: Sequence[VariantView], *, budget_bytes: int) -> Room:
    """Find room for one more worker of `variant` among all `variants`."""
    missing = resident_bytes(variants) + variant.expected_bytes - budget_bytes
    if missing <= 0:
        return Room(fits=True, possible=True)
    missing -= sum(run.resident_bytes for each in variants for run in each.in_state(WorkerState.DRAINING))
    evict: list[str] = []
    for each, run in _idle_first(variant, variants):
        if missing <= 0:
            break
        if run.in_use or run.idle_s < EVICT_AFTER_IDLE_S or each.waiters:
            # It can go, but not yet.
            missing -= run.resident_bytes
            continue
        evict.append(each.name)
        missing -= run.resident_bytes
    return Room(fits=False, possible=missing <= 0, evict=tuple(evict) if missing <= 0 else ())


def _idle_first(variant: VariantView, variants: Sequence[VariantView]) -> list[tuple[VariantView, RunView]]:
    """Running workers that may be stopped for `variant`, by how long nobody has used them."""
    found = [
        (each, run)
        for each in variants
        if each.evictable and each.name != variant.name
        for run in each.runs
        if run.state is not WorkerState.DRAINING
    ]
    return sorted(found, key=lambda pair: (pair[1].in_use or bool(pair[0].waiters), -pair[1].idle_s, pair[0].name))
