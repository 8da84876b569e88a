"""A variant's card: start its worker, time it, and put the checkable tasks to it."""

from __future__ import annotations

import asyncio
import time

import msgspec

from backends.builder.evaluate import Answer, evaluate
from backends.builder.latency import measure_latency
from backends.builder.machine import this_machine
from backends.builder.tasks import MAX_TOKENS, TASK_SET
from backends.client import VariantClient
from backends.models.manifest import Card
from backends.progress import Progress, ProgressSink, silent
from backends.protocol import ChatCompletion, ChatRequest, Message
from backends.worker.process import WorkerProcess
from backends.worker.spec import WorkerSpec

__all__ = ("ask_variant", "measure")

_PATH = "/v1/chat/completions"
_READY_S = 300.0
_TIMED_SHARE = 0.25
"""Share of the progress bar for what comes before the tasks."""
_decoder = msgspec.json.Decoder(ChatCompletion)


async def measure(spec: WorkerSpec, *, sink: ProgressSink = silent) -> Card:
    """Measure a build through a worker of its own, which is stopped at the end. Takes about a minute.

    Figures are only worth something while the machine does little else.

    Args:
        spec: What to serve, on a socket that nobody else uses.
        sink: Told of the progress, as stage `measure`.

    Raises:
        EngineError: The worker would not start, or died.
        UpstreamError: It failed to answer.
    """

    def report(done: float, message: str) -> None:
        sink(Progress(variant=spec.name, stage="measure", done=done, message=message))

    report(0.0, "starting a worker")
    started_s = time.perf_counter()
    async with await WorkerProcess.start(spec) as worker:
        await worker.wait_ready(timeout_s=_READY_S)
        await ask_variant(worker.client, "Hello!", max_tokens=1)
        cold_start_s = time.perf_counter() - started_s
        report(0.1, "timing answers")
        latency = await measure_latency(worker.client)
        score = await evaluate(
            lambda prompt: ask_variant(worker.client, prompt, max_tokens=MAX_TOKENS),
            on_answer=lambda done: report(_TIMED_SHARE + (1 - _TIMED_SHARE) * done, "checkable tasks"),
        )
        load = await worker.load()
    return Card(
        machine=await asyncio.to_thread(this_machine),
        measured_at_s=time.time(),
        cold_start_s=cold_start_s,
        resident_bytes=load.resident_bytes,
        quality=score.quality,
        quality_se=score.quality_se,
        tasks=score.families,
        completion_tokens=score.completion_tokens,
        task_set=TASK_SET,
        **msgspec.structs.asdict(latency),
    )


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
