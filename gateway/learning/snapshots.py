"""What a process has learned, in a file beside the database, so that the next one continues where it ended.

A file holds a learner and how far it had followed the log. It is written now and then, and when the process ends; the
encoding runs on a thread, of a copy. A file that is damaged, or was taken under another fit, is passed over: then the
newest requests of the log are counted again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from gateway.learning.tail import Position
from policies.errors import ArtifactError
from policies.learner.fit import Fit
from policies.learner.learner import Learner
from policies.learner.snapshot import Snapshot, decode, encode, taken

__all__ = ("EVERY_S", "Note", "Restored", "SnapshotFile", "restored")

EVERY_S = 30.0
"""Between two writes, where something was learned meanwhile."""

SUFFIX = ".snapshot"

logger = logging.getLogger(__name__)


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept beside a learner."""

    position: Position
    """How far the log was followed for it."""
    latency: str = ""
    """Content hash of what its times were predicted by, and so of what its corrections are about; empty for cards."""


class Restored(NamedTuple):
    """What a snapshot held."""

    learner: Learner
    note: Note


class SnapshotFile:
    """One process's file. For the event loop's thread only."""

    def __init__(self, directory: Path, *, process: str, state: Callable[[], Restored]) -> None:
        """Prepare; nothing is written yet.

        Args:
            directory: Of the snapshots of all processes.
            process: Names this one.
            state: What to write.
        """
        self._file = directory / f"{process}{SUFFIX}"
        self._state = state
        self._written: tuple[str, int, int] | None = None

    async def write(self) -> None:
        """Write what is known now, if that is more than what was written; never raises for the disk's sake."""
        learner, note = self._state()
        mark = (learner.fit.hash, learner.answered, learner.judged)
        if mark == self._written or not learner.answered:
            return
        snapshot = taken(learner, note=msgspec.json.encode(note))
        try:
            await asyncio.to_thread(_write, self._file, snapshot)
            self._written = mark
        except (OSError, ArtifactError) as error:
            logger.warning("what was learned cannot be kept in %s: %s", self._file.name, error)

    async def keep(self) -> None:
        """Write now and then, for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.write()


def restored(directory: Path, *, fit: Callable[[], Fit]) -> Restored | None:
    """The newest readable snapshot of any process that was taken under a fit; None where there is none. Blocks."""
    for file in sorted(directory.glob(f"*{SUFFIX}"), key=_age, reverse=True):
        try:
            learner, note = decode(file.read_bytes(), fit=fit())
            return Restored(learner, msgspec.json.decode(note, type=Note))
        except (OSError, ArtifactError, msgspec.MsgspecError) as error:
            logger.info("snapshot %s is passed over: %s", file.name, error)
    return None


def _age(file: Path) -> float:
    with contextlib.suppress(OSError):
        return file.stat().st_mtime
    return 0.0


def _write(file: Path, snapshot: Snapshot) -> None:
    data = encode(snapshot)
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, staging = tempfile.mkstemp(dir=file.parent, prefix=".staging-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(staging).replace(file)
    except BaseException:
        Path(staging).unlink(missing_ok=True)
        raise
