"""The engine process of a worker: reads commands, keeps the engine stepping, sends what it says.

One thread reads and tokenises, the main thread steps. Requests beyond `max_running` wait here, first come,
first served.
"""

from __future__ import annotations

import collections
import logging
import os
import threading
import time
from collections.abc import Sequence

import msgspec

from backends.types import Decoding
from backends.worker.detokenizer import Detokenizer, decode_together
from backends.worker.engine import EngineBase, TokenDelta
from backends.worker.errors import RequestError
from backends.worker.messages import (
    Accepted,
    Cancel,
    Channel,
    Embed,
    Failed,
    Piece,
    Pieces,
    Refused,
    Sampling,
    Submit,
    TokenLogprob,
)
from backends.worker.prompts import encode_prompt
from backends.worker.spec import WorkerSpec

__all__ = ("Host",)

log = logging.getLogger(__name__)


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, ready to run."""

    id: int
    prompt_ids: list[int]
    max_tokens: int
    sampling: Sampling
    arrived_s: float
    """By the monotonic clock."""


class Host:
    """Runs one loaded engine for the process at the other end of the channel."""

    def __init__(self, engine: EngineBase, channel: Channel) -> None:
        self._engine = engine
        self._channel = channel
        self._inbox: collections.deque[_Job | Cancel] = collections.deque()
        self._arrived = threading.Condition()
        self._waiting: collections.deque[_Job] = collections.deque()
        self._running: dict[int, tuple[_Job, Detokenizer]] = {}
        self._queued_s: dict[int, float] = {}
        """How long those waited that have said nothing yet."""

    def run(self) -> None:
        """Serve until the engine breaks; never returns normally.

        Raises:
            Exception: What the engine raised, after it was reported.
        """
        threading.Thread(target=self._read, name="commands", daemon=True).start()
        try:
            while True:
                self._apply_commands()
                self._admit()
                if self._running:
                    self._send(self._engine.step())
        except Exception as error:
            log.exception("engine_failed")
            self._channel.send(Failed(message=f"the engine failed: {error}"))
            raise

    def _read(self) -> None:
        """The reading thread. The end of the channel is the end of the process, in the middle of a step or not."""
        try:
            while True:
                command = self._channel.receive()
                assert not isinstance(command, Embed), "texts to embed are not sent to what generates"
                jobs = self._prepare(command) if isinstance(command, Submit) else [command]
                with self._arrived:
                    self._inbox.extend(jobs)
                    self._arrived.notify()
        except EOFError:
            os._exit(0)
        except BaseException:
            log.exception("commands_failed")
            os._exit(1)

    def _prepare(self, submit: Submit) -> list[_Job]:
        arrived_s = time.monotonic()
        spec, sampling = self._engine.spec, _settled(submit.sampling, self._engine.spec.decoding)
        try:
            self._engine.check(sampling)
            prompt_ids = encode_prompt(self._engine.tokenizer, submit.prompt)
            max_tokens = _room(len(prompt_ids), sampling.max_tokens, spec)
        except RequestError as error:
            refusal = Refused(id=submit.ids[0], message=error.message, param=error.param, code=error.code)
            self._channel.send(refusal)
            return []
        self._channel.send(Accepted(id=submit.ids[0], prompt_tokens=len(prompt_ids)))
        return [
            _Job(
                id=request_id,
                prompt_ids=prompt_ids,
                max_tokens=max_tokens,
                sampling=msgspec.structs.replace(sampling, seed=(sampling.seed + i) % 2**63),
                arrived_s=arrived_s,
            )
            for i, request_id in enumerate(submit.ids)
        ]

    def _apply_commands(self) -> None:
        """Take over what arrived; with nothing to compute, wait for it."""
        with self._arrived:
            while not (self._inbox or self._waiting or self._running):
                self._arrived.wait()
            commands = list(self._inbox)
            self._inbox.clear()
        for command in commands:
            if isinstance(command, _Job):
                self._waiting.append(command)
            else:
                self._cancel(command.ids)

    def _cancel(self, ids: Sequence[int]) -> None:
        dropped = set(ids)
        cancelled = [job.id for job in self._waiting if job.id in dropped]
        self._waiting = collections.deque(job for job in self._waiting if job.id not in dropped)
        for request_id in dropped & self._running.keys():
            del self._running[request_id]
            self._queued_s.pop(request_id, None)
            self._engine.cancel(request_id)
            cancelled.append(request_id)
        self._deliver([Piece(id=request_id, finish="cancelled") for request_id in cancelled])

    def _admit(self) -> None:
        while self._waiting and len(self._running) < self._engine.max_running:
            job = self._waiting.popleft()
            self._engine.submit(job.id, prompt_ids=job.prompt_ids, max_tokens=job.max_tokens, sampling=job.sampling)
            self._running[job.id] = (job, Detokenizer())
            self._queued_s[job.id] = time.monotonic() - job.arrived_s

    def _send(self, deltas: Sequence[TokenDelta]) -> None:
        """Turn the tokens of a step into text and send it in one message."""
        deltas = [delta for delta in deltas if delta.id in self._running]
        tokenizer = self._engine.tokenizer
        added = [(self._running[d.id][1], d.token_ids, d.finish is not None) for d in deltas]
        pieces = []
        for delta, text in zip(deltas, decode_together(tokenizer, added), strict=True):
            job = self._running[delta.id][0]
            pieces.append(
                Piece(
                    id=delta.id,
                    text=text,
                    tokens=len(delta.token_ids),
                    logprobs=self._logprobs(delta) if job.sampling.logprobs else [],
                    finish=delta.finish,
                    error=delta.error,
                    queued_s=self._queued_s.pop(delta.id, 0.0),
                )
            )
            if delta.finish or delta.error:
                del self._running[delta.id]
        self._deliver(pieces)

    def _logprobs(self, delta: TokenDelta) -> list[TokenLogprob]:
        tokens = self._engine.tokenizer.decode([[token] for token in delta.token_ids])
        pairs = zip(tokens, delta.logprobs, strict=True)
        return [TokenLogprob(token=token, logprob=logprob) for token, logprob in pairs]

    def _deliver(self, pieces: list[Piece]) -> None:
        if pieces:
            self._channel.send(Pieces(pieces=pieces, kv_usage=self._engine.kv_usage()))


def _settled(sampling: Sampling, decoding: Decoding) -> Sampling:
    """Sampling within the variant's decoding: `greedy` and `beam` ignore the temperature."""
    if decoding.strategy == "sample":
        return sampling
    return msgspec.structs.replace(sampling, temperature=0.0)


def _room(prompt_tokens: int, max_tokens: int | None, spec: WorkerSpec) -> int:
    """Tokens to generate at most: as asked, else the variant's own limit as far as the context allows."""
    context_tokens = spec.context_tokens
    wanted = 1 if max_tokens is None else max_tokens
    if prompt_tokens + wanted > context_tokens:
        asked = f"{prompt_tokens} prompt tokens" + (f" and max_tokens {max_tokens}" if max_tokens else "")
        raise RequestError(
            f"This model's context is {context_tokens} tokens, and the request has {asked}",
            param="messages" if max_tokens is None else "max_tokens",
            code="context_length_exceeded",
        )
    if prompt_tokens == 0:
        raise RequestError("the prompt has no tokens", param="prompt")
    if max_tokens is not None:
        return max_tokens
    room = context_tokens - prompt_tokens
    return min(room, spec.decoding.max_tokens or room)
