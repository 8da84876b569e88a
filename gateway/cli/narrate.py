"""Tells whoever started the gateway what its variants are doing: one line when something has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from backends.types import VariantStatus, WorkerState

__all__ = ("describe", "narrate")

LOOK_EVERY_S = 0.5


async def narrate(statuses: Callable[[], Iterable[VariantStatus]], *, tell: Callable[[str], None]) -> None:
    """Tell a line whenever a variant's state, or a tenth of its progress, changes."""
    told: dict[str, str] = {}
    while True:
        for status in statuses():
            line = describe(status)
            if told.get(status.name) != line:
                told[status.name] = line
                tell(line)
        await asyncio.sleep(LOOK_EVERY_S)


def describe(status: VariantStatus) -> str:
    """How a variant stands, in one line; progress in steps of a tenth."""
    share = "" if status.progress is None else f" {int(status.progress * 10) * 10} %"
    # A message may carry figures that change all the time; its first word is the stage.
    about = status.message if status.state is WorkerState.FAILED else status.message.partition(" ")[0]
    return f"  {status.name}: {status.state}{share}{f' ({about})' if about else ''}"
