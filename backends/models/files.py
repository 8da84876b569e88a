"""File operations that the store and the sources share: hashing, durable writing, and telling a full disk."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from backends.errors import DiskFullError

__all__ = (
    "CHUNK_BYTES",
    "disk_full_raises",
    "is_disk_full",
    "link_or_copy",
    "remove",
    "sha256_of",
    "sync",
    "write_atomically",
)

CHUNK_BYTES = 1 << 20

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FULL_TEXTS = tuple(os.strerror(code) for code in _FULL)


def sha256_of(path: Path, *, on_bytes: Callable[[int], None] | None = None) -> str:
    """Hexadecimal SHA-256 of a file; `on_bytes` is told how many bytes were read so far."""
    digest = hashlib.sha256()
    read_bytes = 0
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
            read_bytes += len(chunk)
            if on_bytes is not None:
                on_bytes(read_bytes)
    return digest.hexdigest()


def sync(path: Path) -> None:
    """Have the file's or directory's content on the disk before returning."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a small file so that a reader, or a crash, sees the old content or the new and nothing else."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        sync(temporary)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def link_or_copy(source: Path, *, to: Path) -> None:
    """Have the file under another name without a second copy where the filesystem can."""
    to.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):
        os.link(source.resolve(), to)
        return
    shutil.copyfile(source, to)


def remove(path: Path) -> None:
    """Delete a file or a tree that may not be there; what cannot be deleted stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_disk_full(error: BaseException) -> bool:
    """Whether an error says that there is no room.

    Libraries written in other languages say so in the text of their own exceptions only.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _FULL
    return any(text in str(error) for text in _FULL_TEXTS)


@contextmanager
def disk_full_raises(what: str) -> Iterator[None]:
    """Turn every way in which a full disk shows into DiskFullError."""
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise DiskFullError(f"no room for {what}: {error}") from error
        raise
