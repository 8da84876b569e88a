"""The parent's side of one worker: start it, wait until it answers, ask how it is, stop it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from backends.child import Child, LineSink
from backends.client import Endpoint, Timeouts, VariantClient
from backends.errors import EngineError, UpstreamError
from backends.sockets import short_socket_path
from backends.types import LoadReport
from backends.worker.spec import WorkerSpec

__all__ = ("WORKER_ARGV", "WorkerProcess")

WORKER_ARGV = (sys.executable, "-m", "backends.worker")
_POLL_S = 0.05
_TAIL_CHARACTERS = 1500


class WorkerProcess:
    """A running worker. As an async context manager it is stopped at the end."""

    def __init__(self, spec: WorkerSpec, child: Child) -> None:
        self.spec = spec
        """As given; its socket path may have been shortened."""
        self._child = child
        self._socket = Path(spec.socket_path)
        self.client = VariantClient(self.endpoint)
        """Our own client of this worker, closed by `stop`."""

    @classmethod
    async def start(cls, spec: WorkerSpec, *, log: LineSink | None = None, argv: Sequence[str] = WORKER_ARGV) -> Self:
        """Start a worker; it does not answer yet.

        Args:
            spec: What to serve, and on which socket. The directory of the socket is made, a stale socket removed.
            log: Receives its output line by line; by default this module's logger.
            argv: The program, for tests.
        """
        path = short_socket_path(Path(spec.socket_path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        spec = msgspec.structs.replace(spec, socket_path=str(path))
        logger = logging.getLogger(f"{__name__}.{spec.name}")
        child = await Child.start(
            argv, name=spec.name, first_line=msgspec.json.encode(spec) + b"\n", log=log or logger.info
        )
        return cls(spec, child)

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers."""
        return Endpoint(socket_path=self.spec.socket_path, model=self.spec.name)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._child.running

    async def wait_ready(self, *, timeout_s: float) -> None:
        """Wait until it answers requests. The process is left running when this raises for time.

        Raises:
            EngineError: It died, with its last words; or it was not ready in time.
        """
        died = asyncio.ensure_future(self._child.wait())
        ready = asyncio.ensure_future(self._poll_ready())
        try:
            done, _ = await asyncio.wait({died, ready}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            died.cancel()
            ready.cancel()
            await asyncio.wait({died, ready})
        if ready in done:
            return
        if died in done:
            raise EngineError(self.last_words(died.result()))
        raise EngineError(f"worker {self.spec.name} was not ready after {timeout_s:g} s")

    async def load(self, *, timeout_s: float = 5.0) -> LoadReport:
        """What it says about its load.

        Raises:
            UpstreamError: It did not say.
        """
        return await self.client.load(timeout_s=timeout_s)

    async def wait(self) -> int:
        """Wait for its end; returns the exit code, or minus the signal that ended it."""
        return await self._child.wait()

    def last_words(self, code: int) -> str:
        """How it ended, and the last lines it wrote."""
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        tail = self._child.tail[-_TAIL_CHARACTERS:]
        return f"worker {self.spec.name} {how}: {tail}" if tail else f"worker {self.spec.name} {how}"

    async def stop(self, *, grace_s: float = 10.0) -> int:
        """Let it finish what it has for `grace_s`, then end it; returns the exit code. Safe to call again."""
        try:
            return await self._child.stop(grace_s=grace_s)
        finally:
            await self.client.aclose(grace_s=0)
            self._socket.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it now; call `stop` or `wait` to reap it."""
        self._child.kill()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _poll_ready(self) -> None:
        brief = Timeouts(connect_s=1.0, total_s=2.0)
        while True:
            with contextlib.suppress(UpstreamError):
                await self.client.request("/healthz", timeouts=brief)
                return
            await asyncio.sleep(_POLL_S)
