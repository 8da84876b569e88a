"""The state of a worker, and what its routes do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Iterator

from msgspec import UNSET, UnsetType

from backends.errors import EngineError
from backends.protocol import Timings
from backends.sse import DONE, encode_event
from backends.types import Capability, LoadReport, WorkerState
from backends.worker.answers import Answers
from backends.worker.engine_link import EngineLink
from backends.worker.errors import RequestError
from backends.worker.load_meter import LoadMeter
from backends.worker.messages import Embedded
from backends.worker.parse import Plan
from backends.worker.spec import WorkerSpec
from backends.worker.wire import ChatWriter, CompletionWriter, Head, Writer, error_reply, server_error

__all__ = ("Service", "events", "whole")

log = logging.getLogger(__name__)


class Service:
    """One variant being served."""

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self.state = WorkerState.LOADING
        self.capabilities: list[Capability] = []
        self.failure: str | None = None
        """Why the engine cannot go on, once it cannot."""
        self._meter = LoadMeter(time.monotonic)
        self.created = int(time.time())
        """Unix time, the `created` of the model list."""
        self._max_running = spec.max_running
        self._closing = False
        self._open = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start the engine, and stop it at the end of the block. It loads in the background."""
        self._link = EngineLink(self.spec, meter=self._meter)
        await self._link.start()
        loading = asyncio.create_task(self._become_warm())
        try:
            yield
        finally:
            self._closing = True
            loading.cancel()
            await self._link.aclose()

    async def failed(self) -> None:
        """Wait until the engine has ended by itself; `failure` then says why."""
        reason = await self._link.failed()
        if not self._closing:
            self.failure = reason
            self.state = WorkerState.FAILED

    async def _become_warm(self) -> None:
        with contextlib.suppress(EngineError):  # `failed` tells
            ready = await self._link.ready()
            self.capabilities, self._max_running = ready.capabilities, ready.max_running
            if self.state is WorkerState.LOADING:
                self.state = WorkerState.WARM
                log.info("warm variant=%s", self.spec.name)

    async def drain(self) -> None:
        """Refuse new requests, and wait until every open one has ended."""
        self.state = WorkerState.DRAINING
        await self._quiet.wait()

    def load(self) -> LoadReport:
        """What `GET /load` answers."""
        in_flight = self._meter.in_flight
        running = min(in_flight, self._max_running)
        return LoadReport(
            state=self.state,
            queued=in_flight - running,
            running=running,
            max_running=self._max_running,
            tokens_per_s=round(self._meter.tokens_per_s, 2),
            kv_usage=self._link.kv_usage,
            resident_bytes=self._link.resident_bytes(),
            idle_s=round(self._meter.idle_s, 3),
        )

    @contextlib.asynccontextmanager
    async def answers(self, plan: Plan) -> AsyncIterator[Answers]:
        """Have a request answered; leaving the block stops what is unfinished.

        Raises:
            RequestError: Not now, or not this request.
        """
        if self.spec.embeds:
            raise _not_found(f"{self.spec.name} generates nothing: it answers /v1/embeddings")
        with self._taken_up():
            answers = Answers(self._link, plan)
            try:
                try:
                    await answers.accepted()
                except EngineError as error:
                    raise server_error(str(error)) from error
                yield answers
            finally:
                answers.close()

    async def embed(self, texts: list[str]) -> Embedded:
        """The vectors of texts; nothing more is computed for them once this is cancelled.

        Raises:
            RequestError: Not now, or not these texts.
        """
        if not self.spec.embeds:
            raise _not_found(f"{self.spec.name} cannot embed")
        with self._taken_up():
            try:
                return await self._link.embed(texts)
            except EngineError as error:
                raise server_error(str(error)) from error

    def chat_writer(self, plan: Plan) -> Writer:
        """For one chat request."""
        return ChatWriter(self._head("chatcmpl"), include_usage=plan.include_usage)

    def completion_writer(self, plan: Plan) -> Writer:
        """For one completion request."""
        return CompletionWriter(self._head("cmpl"), include_usage=plan.include_usage)

    @contextlib.contextmanager
    def _taken_up(self) -> Iterator[None]:
        """Count the block as an open request, for `drain` to wait for."""
        if self.state is not WorkerState.WARM:
            raise RequestError(
                f"{self.spec.name} is {self.state}", status=503, error_type="overloaded", code=str(self.state)
            )
        self._open += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._open -= 1
            if not self._open:
                self._quiet.set()

    def _head(self, prefix: str) -> Head:
        return Head(id=f"{prefix}-{uuid.uuid4().hex}", created=int(time.time()), model=self.spec.name)


def _not_found(message: str) -> RequestError:
    return RequestError(message, status=404, param="model", code="model_not_found")


async def whole(answers: Answers, writer: Writer) -> bytes:
    """The body of an answer that does not stream.

    Raises:
        RequestError: The engine failed.
    """
    try:
        parts = [part async for part in answers.parts()]
    except EngineError as error:
        raise server_error(str(error)) from error
    return writer.whole(parts, answers.usage, _told(answers))


async def events(answers: Answers, writer: Writer) -> AsyncIterator[bytes]:
    """The events of a stream; one that fails ends in an error event, without `[DONE]`."""
    try:
        async for part in answers.parts():
            yield writer.event(part)
    except EngineError as error:
        yield encode_event(error_reply(server_error(str(error))))
        return
    if answers.plan.include_usage:
        yield writer.usage_event(answers.usage, _told(answers))
    yield DONE


def _told(answers: Answers) -> Timings | UnsetType:
    return answers.timings if answers.plan.traced else UNSET
