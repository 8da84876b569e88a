"""What a worker process is told when it starts. Read by the supervisor and the card bench, so nothing heavy here."""

from __future__ import annotations

import msgspec

from backends.types import Capability, Decoding, Engine

__all__ = ("WorkerSpec",)


class WorkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One worker: which build, by which engine, on which socket.

    The parent writes it as one JSON line to the worker's standard input and keeps that pipe open. When the pipe
    closes, the parent is gone and the worker exits: no orphans, on any operating system.
    """

    name: str
    """The variant's name; the `model` of its answers."""
    engine: Engine
    model_path: str
    """Directory of the build."""
    socket_path: str
    """Unix socket to listen on."""
    context_tokens: int
    max_running: int
    dtype: str = "native"
    decoding: Decoding = Decoding()
    draft_path: str | None = None
    """Directory of the drafting variant's build, for speculative decoding."""
    capabilities: tuple[Capability, ...] | None = None
    threads: int | None = None
    """Threads for the engine; all cores when absent."""

    @property
    def embeds(self) -> bool:
        """Whether it turns texts into vectors; it generates nothing then."""
        return Capability.EMBEDDINGS in (self.capabilities or ())
