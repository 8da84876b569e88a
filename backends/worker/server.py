"""The HTTP process of a worker: listens, drains when told to stop, ends when its engine does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Coroutine
from pathlib import Path
from types import FrameType

import uvicorn

from backends.worker.app import create_app
from backends.worker.service import Service
from backends.worker.spec import WorkerSpec

__all__ = ("serve",)

_LAST_BYTES_S = 5
"""Seconds for the last bytes to leave once every request is answered."""

log = logging.getLogger(__name__)


def serve(spec: WorkerSpec) -> int:
    """Serve a variant until SIGTERM, SIGINT or the end of its engine; returns the exit status."""
    service = Service(spec)
    config = uvicorn.Config(
        create_app(service),
        loop="uvloop",
        http="httptools",
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=_LAST_BYTES_S,
    )
    server = _Server(config, service)
    sock = _listen(Path(spec.socket_path))
    try:
        server.run(sockets=[sock])
    finally:
        with contextlib.suppress(OSError):
            Path(spec.socket_path).unlink()
    if service.failure is not None:
        log.error("worker_failed variant=%s reason=%s", spec.name, service.failure)
        return 1
    log.info("worker_stopped variant=%s", spec.name)
    return 0


class _Server(uvicorn.Server):
    """Drains before it closes the socket, so that callers meanwhile read `draining` and not a refused connection."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watch: asyncio.Task[None] | None = None
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn; from here on the engine's end is noticed."""
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._watch = asyncio.create_task(self._stop_after(self._service.failed()))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called by uvicorn for SIGTERM and SIGINT."""
        if self._loop is None:
            super().handle_exit(sig, frame)
        else:
            self._loop.call_soon_threadsafe(self._begin_drain)

    def _begin_drain(self) -> None:
        if self._drain is None:
            log.info("draining variant=%s", self._service.spec.name)
            self._drain = asyncio.create_task(self._stop_after(self._service.drain()))

    async def _stop_after(self, end: Coroutine[None, None, None]) -> None:
        await end
        self.should_exit = True


def _listen(path: Path) -> socket.socket:
    """A listening Unix socket that only this user may connect to; replaces what is left of an earlier worker."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    sock.listen(1024)
    return sock
