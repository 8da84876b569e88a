"""A program that is run again and again beside the servers, at the lowest priority, such as the trainer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from backends.child import Child

__all__ = ("PeriodicPlan", "run_periodically")

logger = logging.getLogger(__name__)
_NICENESS = 19
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodicPlan:
    """What to run, and how often."""

    name: str
    argv: Sequence[str]
    interval_s: float
    """Before the first run, and from the end of each to the start of the next: two never run at once."""


async def run_periodically(plan: PeriodicPlan) -> None:
    """Run it until cancelled; a run in progress is then ended. One that fails is told, and the next comes in time."""
    while True:
        await asyncio.sleep(plan.interval_s)
        try:
            await _run_once(plan)
        except Exception as error:  # noqa: BLE001 - serving goes on whatever happens to it
            logger.warning("%s could not be run: %s", plan.name, error)


async def _run_once(plan: PeriodicPlan) -> None:
    child = await Child.start(plan.argv, name=plan.name, log=logger.info, niceness=_NICENESS)
    try:
        code = await child.wait()
    except asyncio.CancelledError:
        await child.stop(grace_s=_GRACE_S)
        raise
    if code:
        logger.warning("%s ended with code %d: %s", plan.name, code, child.tail[-1000:])
