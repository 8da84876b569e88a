"""A process of ours: started in its own session, listened to, stopped with all it has started itself.

Its standard input stays open for as long as we live; `backends.lifeline` is the other end of that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Sequence
from typing import Self, cast

__all__ = ("Child", "LineSink")

LineSink = Callable[[str], None]
"""Receives each line of output, without its line feed; must return quickly."""

_TAIL_LINES = 20
_MAX_LINE_BYTES = 64 * 1024
_LAST_WORDS_S = 1.0
"""How long output may trail the end of the process, should a grandchild hold its pipe."""


class Child:
    """One child process."""

    def __init__(self, name: str, transport: asyncio.SubprocessTransport, listener: _Listener) -> None:
        self.name = name
        self.pid = transport.get_pid()
        self._transport = transport
        self._listener = listener
        # What it has started itself goes with it, and so does the last holder of our pipes.
        listener.exited.add_done_callback(lambda _: self._signal_group(signal.SIGKILL))
        listener.closed.add_done_callback(lambda _: transport.close())

    @classmethod
    async def start(
        cls,
        argv: Sequence[str],
        *,
        name: str,
        first_line: bytes = b"",
        log: LineSink | None = None,
        on_stdout: LineSink | None = None,
        pass_fds: Sequence[int] = (),
        niceness: int = 0,
    ) -> Self:
        """Start a program.

        Args:
            argv: Program and arguments.
            name: What to call it in messages.
            first_line: Written to its standard input, which then stays open.
            log: Receives its output line by line; without it the output goes where ours goes.
            on_stdout: Receives standard output alone; `log` then gets standard error only.
            pass_fds: Descriptors it inherits.
            niceness: Added to its priority; 19 yields to everything else.
        """
        listener = _Listener(log, on_stdout)
        err = None if log is None else asyncio.subprocess.PIPE
        out = err if on_stdout is None else asyncio.subprocess.PIPE
        transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: listener,
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=out,
            stderr=err,
            pass_fds=pass_fds,
            start_new_session=True,  # Ctrl-C in a terminal reaches only us; we stop our children in order.
        )
        child = cls(name, transport, listener)
        if niceness:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, child.pid, niceness)
        if first_line:
            cast("asyncio.WriteTransport", transport.get_pipe_transport(0)).write(first_line)
        return child

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self._listener.exited.done()

    @property
    def tail(self) -> str:
        """The last lines of its output, where we listen to it."""
        return "\n".join(self._listener.tail)

    async def wait(self) -> int:
        """Wait for its end; returns the exit code, or minus the signal that ended it."""
        await asyncio.shield(self._listener.exited)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._listener.closed), _LAST_WORDS_S)
        code = self._transport.get_returncode()
        self._transport.close()
        assert code is not None
        return code

    async def stop(self, *, grace_s: float) -> int:
        """Ask it to end, and end it after `grace_s`, or at once when cancelled; returns as `wait` does."""
        if self.running:
            self._signal_group(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                return await self.wait()
        except TimeoutError:
            self.kill()
            return await self.wait()
        except asyncio.CancelledError:
            self.kill()
            await self.wait()
            raise

    def kill(self) -> None:
        """End it now, and whatever it started. `wait` still has to be called."""
        if self.running:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        # macOS answers EPERM for a group of which only zombies are left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class _Listener(asyncio.SubprocessProtocol):
    """Hears lines and the end. asyncio's own `Process.wait` waits for the pipes too, which a grandchild can hold."""

    def __init__(self, log: LineSink | None, on_stdout: LineSink | None) -> None:
        loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._log = log
        self._on_stdout = on_stdout
        self._rest = {1: b"", 2: b""}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *lines, rest = (self._rest[fd] + data).split(b"\n")
        if len(rest) > _MAX_LINE_BYTES:
            lines, rest = [*lines, rest], b""
        self._rest[fd] = rest
        for line in lines:
            self._hear(fd, line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if rest := self._rest.pop(fd, b""):
            self._hear(fd, rest)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        if not self.closed.done():
            self.closed.set_result(None)

    def _hear(self, fd: int, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if fd == 1 and self._on_stdout is not None:
            self._on_stdout(text)
            return
        self.tail.append(text)
        if self._log is not None:
            self._log(text)
