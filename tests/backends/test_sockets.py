from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest

from backends.errors import BackendError
from backends.sockets import MAX_SOCKET_PATH_BYTES, short_socket_path


def test_a_short_path_is_kept() -> None:
    assert short_socket_path(Path("/run/x.sock")) == Path("/run/x.sock")


def test_a_deep_path_becomes_a_short_one_that_can_be_bound_and_is_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(Path("/tmp") / f"ss{os.getpid()}"))
    Path(tempfile.gettempdir()).mkdir()
    deep = tmp_path / ("d" * 60) / ("é" * 30) / "x.sock"
    short = short_socket_path(deep)
    try:
        assert short == short_socket_path(deep) != short_socket_path(deep.with_name("y.sock"))
        assert len(os.fsencode(short)) <= MAX_SOCKET_PATH_BYTES
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(short))
        short.parent.chmod(0o755)
        with pytest.raises(BackendError):
            short_socket_path(deep)
    finally:
        short.unlink()
        short.parent.rmdir()
        short.parent.parent.rmdir()
