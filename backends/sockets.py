"""Paths of Unix sockets: the system allows about a hundred bytes, which a deep state directory exceeds."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from backends.errors import BackendError

__all__ = ("MAX_SOCKET_PATH_BYTES", "short_socket_path")

MAX_SOCKET_PATH_BYTES = 103
"""What both Linux (107) and macOS (103) accept."""


def short_socket_path(path: Path) -> Path:
    """The path itself if it is short enough, else one derived from it in a private temporary directory.

    Everyone who asks with the same path gets the same answer.

    Raises:
        BackendError: The temporary directory belongs to somebody else.
    """
    path = path.absolute()
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        return path
    directory = Path(tempfile.gettempdir()) / f"trilemma-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise BackendError(f"{directory} is not a private directory of this user")
    return directory / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:24]}.sock"
