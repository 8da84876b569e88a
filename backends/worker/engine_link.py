"""The HTTP process's hold on its engine process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import psutil

from backends.errors import EngineError
from backends.worker.errors import RequestError
from backends.worker.load_meter import LoadMeter
from backends.worker.messages import (
    HEADER,
    Accepted,
    Cancel,
    Embed,
    Embedded,
    Failed,
    Piece,
    Pieces,
    Ready,
    Refused,
    Reply,
    Sampling,
    Submit,
    Turn,
    encode_frame,
)
from backends.worker.spec import WorkerSpec

__all__ = ("EngineLink", "Generation")

# OpenMP threads that spin while they wait take the cores from the other workers: ten times slower on shared cores.
_ENGINE_ENVIRONMENT = {"OMP_WAIT_POLICY": "PASSIVE"}

log = logging.getLogger(__name__)


class EngineLink:
    """Starts the engine process, sends it requests, and hands every answer its pieces."""

    def __init__(self, spec: WorkerSpec, *, meter: LoadMeter) -> None:
        self._spec = spec
        self._meter = meter
        self._ids = itertools.count(1)
        self._generations: dict[int, Generation] = {}
        self._embeddings: dict[int, asyncio.Future[Embedded]] = {}
        self._replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
        self._ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        self.kv_usage = 0.0
        """Share of the KV cache in use at the last step."""

    async def start(self) -> None:
        """Start the process; returns before it has loaded anything."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "backends.worker.engine_process", str(theirs.fileno())),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.PIPE,  # its lifeline: closes when this process ends
                stdout=sys.stderr,
                env=_ENGINE_ENVIRONMENT | os.environ,
            )
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        self._writer.write(encode_frame(self._spec))
        self._receiving = asyncio.create_task(self._receive())

    async def ready(self) -> Ready:
        """Wait until the engine is loaded.

        Raises:
            EngineError: It cannot be loaded.
        """
        return await asyncio.shield(self._ready)

    async def failed(self) -> str:
        """Wait until the engine process has ended, and say why. Never returns while it is well."""
        reason = await asyncio.shield(self._receiving)
        code = await self._process.wait()
        return f"{reason} (exit status {code})"

    def submit(self, prompt: str | list[Turn], *, sampling: Sampling, answers: int) -> Generation:
        """Ask for answers to one prompt."""
        ids = list(itertools.islice(self._ids, answers))
        generation = Generation(ids, cancel=self._cancel)
        self._meter.begin(ids)
        self._generations.update(dict.fromkeys(ids, generation))
        self._writer.write(encode_frame(Submit(ids=ids, prompt=prompt, sampling=sampling)))
        return generation

    async def embed(self, texts: list[str]) -> Embedded:
        """Ask for the vectors of texts; cancelling this drops what is not computed yet.

        Raises:
            RequestError: The engine will not run it.
            EngineError: The engine process is gone.
        """
        request_id = next(self._ids)
        answer = self._embeddings[request_id] = asyncio.get_running_loop().create_future()
        self._meter.begin([request_id])
        self._writer.write(encode_frame(Embed(id=request_id, texts=texts)))
        try:
            return await answer
        finally:
            self._meter.end([request_id])
            if self._embeddings.pop(request_id, None) is not None:
                self._cancel([request_id])

    def resident_bytes(self) -> int:
        """Resident memory of both processes."""
        processes = [psutil.Process()]
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(self._process.pid))
        total = 0
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total

    async def aclose(self) -> None:
        """Close the connection, which ends the process, and wait for it."""
        self._writer.close()
        await self._receiving
        await self._process.wait()

    def _cancel(self, ids: list[int]) -> None:
        if not self._writer.is_closing():
            self._writer.write(encode_frame(Cancel(ids=ids)))

    async def _receive(self) -> str:
        """Take replies until the connection ends; returns the reason."""
        reason = "the engine process ended"
        try:
            while True:
                size = HEADER.unpack(await self._reader.readexactly(HEADER.size))[0]
                reply = self._replies.decode(await self._reader.readexactly(size))
                if isinstance(reply, Failed):
                    reason = reply.message
                else:
                    self._take(reply)
        except (asyncio.IncompleteReadError, OSError):
            pass
        error = EngineError(reason)
        if not self._ready.done():
            self._ready.set_exception(error)
            self._ready.exception()  # whoever waits gets it; nobody waiting is no cause for a warning
        for generation in set(self._generations.values()):
            generation.fail(error)
        for request_id in list(self._embeddings):
            self._answer(request_id, error)
        self._meter.end(list(self._generations))
        self._generations.clear()
        return reason

    def _take(self, reply: Ready | Accepted | Refused | Pieces | Embedded) -> None:
        match reply:
            case Ready():
                self._ready.set_result(reply)
            case Accepted():
                self._generations[reply.id].accept(reply.prompt_tokens)
            case Refused():
                self._refuse(reply.id, RequestError(reply.message, param=reply.param, code=reply.code))
            case Embedded():
                self._meter.generated(reply.prompt_tokens)
                self._answer(reply.id, reply)
            case Pieces():
                self.kv_usage = reply.kv_usage
                self._meter.generated(sum(piece.tokens for piece in reply.pieces))
                for piece in reply.pieces:
                    self._generations[piece.id].add(piece)
                self._forget([piece.id for piece in reply.pieces if piece.finish or piece.error])

    def _refuse(self, request_id: int, error: RequestError) -> None:
        if generation := self._generations.get(request_id):
            generation.fail(error)
            self._forget(generation.ids)
        else:
            self._answer(request_id, error)

    def _answer(self, request_id: int, answer: Embedded | Exception) -> None:
        """End the wait for vectors; nobody may be waiting any more."""
        waiting = self._embeddings.pop(request_id, None)
        if waiting is None or waiting.done():
            return
        if isinstance(answer, Exception):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)

    def _forget(self, ids: list[int]) -> None:
        for request_id in ids:
            del self._generations[request_id]
        self._meter.end(ids)


class Generation:
    """The answers to one prompt, as they come. Close it when nobody reads on."""

    def __init__(self, ids: list[int], *, cancel: Callable[[list[int]], None]) -> None:
        self.ids = ids
        self._cancel_ids = cancel
        self._unfinished = set(ids)
        self._inbox: asyncio.Queue[Piece | Exception] = asyncio.Queue()
        self.began_s = time.monotonic()
        self.first_s: float | None = None
        """When the first token came, by the monotonic clock."""
        self.last_s = self.began_s
        """When the last one came."""
        self.queued_s = 0.0
        """How long the engine let its answers wait, at most."""
        self._accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def prompt_tokens(self) -> int:
        """Wait until the prompt was read; its length in tokens.

        Raises:
            RequestError: The engine will not run it.
            EngineError: The engine process is gone.
        """
        return await self._accepted

    async def pieces(self) -> AsyncIterator[tuple[int, Piece]]:
        """Index of the answer and what was added to it, until all answers are finished.

        Raises:
            EngineError: An answer cannot be completed.
        """
        while self._unfinished:
            piece = await self._inbox.get()
            if isinstance(piece, Exception):
                raise piece
            if piece.error is not None:
                raise EngineError(piece.error)
            if piece.id in self._unfinished:
                if piece.finish is not None:
                    self._unfinished.discard(piece.id)
                yield self.ids.index(piece.id), piece

    def cancel(self, index: int) -> None:
        """One answer is long enough."""
        request_id = self.ids[index]
        if request_id in self._unfinished:
            self._unfinished.discard(request_id)
            self._cancel_ids([request_id])

    def close(self) -> None:
        """Nobody reads on; the engine stops what is unfinished. Harmless when all is finished."""
        if self._unfinished:
            self._cancel_ids(sorted(self._unfinished))
            self._unfinished.clear()

    def accept(self, prompt_tokens: int) -> None:
        """For the link: the prompt was read."""
        if not self._accepted.done():
            self._accepted.set_result(prompt_tokens)

    def add(self, piece: Piece) -> None:
        """For the link: something was generated."""
        self.queued_s = max(self.queued_s, piece.queued_s)
        if piece.tokens:
            self.last_s = time.monotonic()
            self.first_s = self.first_s or self.last_s
        self._inbox.put_nowait(piece)

    def fail(self, error: Exception) -> None:
        """For the link: nothing more will come."""
        if not self._accepted.done():
            self._accepted.set_exception(error)
            self._accepted.exception()
        self._inbox.put_nowait(error)
