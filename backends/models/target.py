"""What every kind of source is told about one fetch: where to put the file, what it must be, and whom to tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from backends.errors import HashMismatchError
from backends.models.files import sha256_of
from backends.progress import Progress, ProgressSink

__all__ = ("Meter", "Target", "require_hash")


class Meter:
    """Turns byte counts into progress steps, at most one per percent, or per 8 MiB where the total is unknown."""

    def __init__(self, sink: ProgressSink, *, variant: str, what: str, total_bytes: int | None) -> None:
        self._sink, self._variant, self._what, self._total_bytes = sink, variant, what, total_bytes
        self._step_bytes = max(total_bytes // 100, 1) if total_bytes else 8 << 20
        self._next_bytes = 0

    def at(self, done_bytes: int) -> None:
        """So many bytes are here by now."""
        if done_bytes < self._next_bytes:
            return
        self._next_bytes = done_bytes + self._step_bytes
        share = min(done_bytes / self._total_bytes, 1.0) if self._total_bytes else 0.0
        figures = f"{done_bytes / 1e6:.0f}" + (f" of {self._total_bytes / 1e6:.0f}" if self._total_bytes else "")
        step = Progress(variant=self._variant, stage="fetch", done=share, message=f"{self._what}: {figures} MB")
        self._sink(step)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One fetch."""

    folder: Path
    """Directory that belongs to this source alone and survives an interrupted fetch."""
    sha256: str | None
    """What the file must be; None takes what comes."""
    sink: ProgressSink = field(repr=False)
    variant: str
    """The variant it is for, named in the progress."""

    def meter(self, what: str, *, total_bytes: int | None) -> Meter:
        """A meter for one file."""
        return Meter(self.sink, variant=self.variant, what=what, total_bytes=total_bytes)

    def have(self, name: str) -> Path | None:
        """The file or folder if an earlier fetch brought it whole; a file that went bad meanwhile is deleted."""
        path = self.folder / name
        if path.is_dir():
            return path
        if not path.is_file():
            return None
        if self.sha256 is not None and sha256_of(path) != self.sha256:
            path.unlink()
            return None
        return path

    def accept(self, part: Path, *, name: str) -> Path:
        """Give a completely received file its name.

        Raises:
            HashMismatchError: It is not what was promised, and is gone.
        """
        require_hash(part, expected=self.sha256, what=name)
        return part.replace(self.folder / name)


def require_hash(path: Path, *, expected: str | None, what: str) -> None:
    """Delete a downloaded file that is not the promised one.

    Raises:
        HashMismatchError: It was not.
    """
    if expected is None:
        return
    found = sha256_of(path)
    if found != expected:
        path.unlink()
        raise HashMismatchError(what=what, expected=expected, found=found)
