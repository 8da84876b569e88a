"""The engine process of an embedder: reads requests, computes their texts in batches, sends the vectors.

One thread reads and tokenises, the main thread computes.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from backends.errors import EngineError
from backends.types import Engine
from backends.worker.embedding_batches import Batches, Row
from backends.worker.errors import RequestError
from backends.worker.messages import Cancel, Channel, Embed, Embedded, Failed, Refused
from backends.worker.spec import WorkerSpec

__all__ = ("Embedder", "EmbeddingHost", "create_embedder")

_STEP_TOKENS = 512
"""Computed together at most; about 35 ms on two cores, which is how long a new request waits for its turn."""
_FACTORIES = {Engine.OPENVINO: ("backends.worker.embedding_engine", "EmbeddingEngine")}

log = logging.getLogger(__name__)


class Embedder(Protocol):
    """One loaded model. `lengths` and `compute` are called from different threads."""

    spec: WorkerSpec
    width: int
    """Numbers in a vector."""

    def load(self) -> None:
        """Load the model.

        Raises:
            EngineError: The build cannot be loaded.
        """
        ...

    def lengths(self, texts: list[str]) -> list[int]:
        """How many tokens each text has.

        Raises:
            RequestError: One is longer than the model reads.
        """
        ...

    def compute(self, texts: list[str]) -> NDArray[np.float32]:
        """The unit vector of each text."""
        ...


class EmbeddingHost:
    """Runs one loaded embedder for the process at the other end of the channel."""

    def __init__(self, embedder: Embedder, channel: Channel) -> None:
        self._embedder = embedder
        self._channel = channel
        self._changed = threading.Condition()
        self._batches = Batches(max_rows=embedder.spec.max_running, max_tokens=_STEP_TOKENS)
        self._answers: dict[int, _Answer] = {}

    def run(self) -> None:
        """Serve until the model breaks; never returns normally.

        Raises:
            Exception: What the model raised, after it was reported.
        """
        threading.Thread(target=self._read, name="commands", daemon=True).start()
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._batches)
                    rows = self._batches.take()
                self._keep(rows, self._embedder.compute([row.text for row in rows]))
        except Exception as error:
            log.exception("engine_failed")
            self._channel.send(Failed(message=f"the engine failed: {error}"))
            raise

    def _read(self) -> None:
        """The reading thread. The end of the channel is the end of the process."""
        try:
            while True:
                match self._channel.receive():
                    case Embed() as asked:
                        self._take_up(asked)
                    case Cancel() as cancel:
                        self._drop(cancel.ids)
        except EOFError:
            os._exit(0)
        except BaseException:
            log.exception("commands_failed")
            os._exit(1)

    def _take_up(self, asked: Embed) -> None:
        try:
            lengths = self._embedder.lengths(asked.texts)
        except RequestError as error:
            self._channel.send(Refused(id=asked.id, message=error.message, param=error.param, code=error.code))
            return
        with self._changed:
            self._answers[asked.id] = _Answer(lengths, width=self._embedder.width)
            self._batches.add(asked.id, asked.texts, lengths)
            self._changed.notify()

    def _drop(self, ids: list[int]) -> None:
        with self._changed:
            for request_id in ids:
                self._batches.drop(request_id)
                self._answers.pop(request_id, None)

    def _keep(self, rows: list[Row], vectors: NDArray[np.float32]) -> None:
        """Put vectors in their places, and send the requests that are complete."""
        complete = []
        with self._changed:
            for row, vector in zip(rows, vectors, strict=True):
                answer = self._answers.get(row.request_id)
                if answer is not None and answer.put(row.index, vector):
                    complete.append((row.request_id, self._answers.pop(row.request_id)))
        for request_id, answer in complete:
            self._channel.send(answer.reply(request_id))


class _Answer:
    """The vectors of one request as they come."""

    def __init__(self, lengths: list[int], *, width: int) -> None:
        self._vectors = np.empty((len(lengths), width), dtype=np.float32)
        self._missing = len(lengths)
        self._prompt_tokens = sum(lengths)

    def put(self, index: int, vector: NDArray[np.float32]) -> bool:
        """Keep one vector; returns whether it was the last."""
        self._vectors[index] = vector
        self._missing -= 1
        return self._missing == 0

    def reply(self, request_id: int) -> Embedded:
        """All of them."""
        return Embedded(
            id=request_id,
            vectors=self._vectors.tobytes(),
            width=self._vectors.shape[1],
            prompt_tokens=self._prompt_tokens,
        )


def create_embedder(spec: WorkerSpec) -> Embedder:
    """The embedder of a spec, not loaded yet.

    Raises:
        EngineError: Its engine does not embed.
        MissingExtraError: The library is not installed.
    """
    if spec.engine not in _FACTORIES:
        raise EngineError(f"engine {spec.engine} does not embed")
    module, name = _FACTORIES[spec.engine]
    embedder: Embedder = getattr(importlib.import_module(module), name)(spec)
    return embedder
