"""Variants' cards: start a worker of each, time them in turns, and put the checkable tasks to each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Protocol, Self

import msgspec

from backends.builder.evaluate import Answer, Score, evaluate
from backends.builder.latency import Turn, shuffles, spread, summarise, time_turn
from backends.builder.machine import this_machine
from backends.builder.quiet import CpuTimes, ReadCpu, conditions, read_cpu
from backends.builder.tasks import MAX_TOKENS, TASK_SET
from backends.client import VariantClient
from backends.errors import BackendError
from backends.models.manifest import Card, Machine
from backends.progress import Progress, ProgressSink, silent
from backends.protocol import ChatCompletion, ChatRequest, Message
from backends.worker.process import WorkerProcess
from backends.worker.spec import WorkerSpec

__all__ = ("TURNS", "Subject", "WorkerSubject", "ask_variant", "measure_in_turns")

TURNS = 3
"""How often each variant is timed; what slows the machine down for a while then concerns all of them."""

_PATH = "/v1/chat/completions"
_READY_S = 300.0
_START_DONE, _TIMED_DONE = 0.1, 0.25
"""Shares of the progress bar that are done once the worker answers, and once it is timed."""
_decoder = msgspec.json.Decoder(ChatCompletion)


class Subject(Protocol):
    """A variant that is being measured, ready to answer."""

    cold_start_s: float
    """From starting its process to its first answer."""

    async def time(self) -> Turn:
        """Take its times once."""
        ...

    async def score(self, on_answer: Callable[[float], None]) -> Score:
        """Put the checkable tasks to it; tell the share done after each answer."""
        ...

    async def resident_bytes(self) -> int:
        """What it takes of the memory now."""
        ...

    async def stop(self) -> None:
        """End it."""
        ...


class WorkerSubject:
    """A worker of its own for one build."""

    def __init__(self, worker: WorkerProcess, *, cold_start_s: float, prompts: Iterator[list[str]]) -> None:
        self.cold_start_s = cold_start_s
        self._worker = worker
        self._prompts = prompts

    @classmethod
    async def start(cls, spec: WorkerSpec) -> Self:
        """Start it, and wait for its first answer.

        Raises:
            EngineError: The worker would not start, or died.
            UpstreamError: It failed to answer.
        """
        started_s, prompts = time.perf_counter(), shuffles()
        worker = await WorkerProcess.start(spec)
        try:
            await worker.wait_ready(timeout_s=_READY_S)
            await ask_variant(worker.client, "Hello!", max_tokens=1)
            cold_start_s = time.perf_counter() - started_s
            await time_turn(worker.client, prompts, runs=1, answer_tokens=8)  # The first answers take longer.
        except BaseException:
            await worker.stop()
            raise
        return cls(worker, cold_start_s=cold_start_s, prompts=prompts)

    async def time(self) -> Turn:
        """Take its times once."""
        return await time_turn(self._worker.client, self._prompts)

    async def score(self, on_answer: Callable[[float], None]) -> Score:
        """Put the checkable tasks to it."""
        client = self._worker.client
        return await evaluate(lambda p: ask_variant(client, p, max_tokens=MAX_TOKENS), on_answer=on_answer)

    async def resident_bytes(self) -> int:
        """What it takes of the memory now."""
        return (await self._worker.load()).resident_bytes

    async def stop(self) -> None:
        """End it."""
        await self._worker.stop()


async def measure_in_turns(
    specs: Sequence[WorkerSpec],
    *,
    sink: ProgressSink = silent,
    start: Callable[[WorkerSpec], Awaitable[Subject]] = WorkerSubject.start,
    read: ReadCpu = read_cpu,
) -> dict[str, Card | BackendError]:
    """Measure builds, each through a worker of its own. Takes about a minute for each.

    All workers are started first and then timed in turns, one at a time: A B C A B C. So whatever else the machine
    does meanwhile slows them down alike, and shows in the differences between turns.

    Args:
        specs: What to serve, on sockets that nothing else uses. All workers are in memory at the same time.
        sink: Told of the progress, as stage `measure`.
        start: Starts a worker, for tests.
        read: Reads the processors' times, for tests.

    Returns:
        For each variant its card, or why it could not be measured.
    """
    measured = [_Measurement(spec.name, sink=sink, read=read) for spec in specs]
    try:
        for each, spec in zip(measured, specs, strict=True):
            await each.attempt(partial(each.start, start, spec))
        for _ in range(TURNS):
            for each in measured:
                await each.attempt(each.take_turn)
        for each in measured:
            await each.attempt(each.score)
    finally:
        await asyncio.gather(*(each.stop() for each in measured))
    machine = await asyncio.to_thread(this_machine)
    return {each.name: each.error or each.card(machine) for each in measured}


class _Measurement:
    """One variant on its way to a card."""

    def __init__(self, name: str, *, sink: ProgressSink, read: ReadCpu) -> None:
        self.name = name
        self.error: BackendError | None = None
        self._sink = sink
        self._read = read
        self._subject: Subject | None = None
        self._turns: list[Turn] = []
        self._passed = CpuTimes()
        self._score: Score | None = None
        self._resident_bytes = 0

    async def attempt(self, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step, unless an earlier one failed; the other variants go on in either case."""
        if self.error is None:
            try:
                await step()
            except BackendError as error:
                self.error = error

    async def start(self, start: Callable[[WorkerSpec], Awaitable[Subject]], spec: WorkerSpec) -> None:
        self._report(0.0, "starting a worker")
        self._subject = await start(spec)
        self._report(_START_DONE, "waits for its turn")

    async def take_turn(self) -> None:
        assert self._subject is not None
        before = self._read()
        self._turns.append(await self._subject.time())
        self._passed += self._read().since(before)
        done = len(self._turns) / TURNS
        self._report(_START_DONE + (_TIMED_DONE - _START_DONE) * done, f"timed {len(self._turns)} of {TURNS} times")

    async def score(self) -> None:
        assert self._subject is not None
        self._score = await self._subject.score(
            lambda done: self._report(_TIMED_DONE + (1.0 - _TIMED_DONE) * done, "checkable tasks")
        )
        self._resident_bytes = await self._subject.resident_bytes()

    async def stop(self) -> None:
        if self._subject is not None:
            await self._subject.stop()

    def card(self, machine: Machine) -> Card:
        """What came of it, where no step failed."""
        assert self._subject is not None
        assert self._score is not None
        return Card(
            machine=machine,
            measured_at_s=time.time(),
            cold_start_s=self._subject.cold_start_s,
            resident_bytes=self._resident_bytes,
            quality=self._score.quality,
            quality_se=self._score.quality_se,
            tasks=self._score.families,
            completion_tokens=self._score.completion_tokens,
            task_set=TASK_SET,
            conditions=conditions(self._passed, spread=spread(self._turns)),
            **msgspec.structs.asdict(summarise(self._turns)),
        )

    def _report(self, done: float, message: str) -> None:
        self._sink(Progress(variant=self.name, stage="measure", done=done, message=message))


async def ask_variant(client: VariantClient, prompt: str, *, max_tokens: int) -> Answer:
    """One greedy answer to one user message.

    Raises:
        UpstreamError: The variant failed.
    """
    request = ChatRequest(
        model=client.endpoint.model,
        messages=[Message(role="user", content=prompt)],
        max_tokens=max_tokens,
        temperature=0.0,
    )
    reply = _decoder.decode(await client.request(_PATH, msgspec.json.encode(request)))
    usage = reply.usage
    return Answer(
        text=reply.choices[0].message.content or "", completion_tokens=usage.completion_tokens if usage else 0
    )
