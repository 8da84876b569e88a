"""From a variant of the configuration and its build to what a worker is told."""

from __future__ import annotations

import itertools
from pathlib import Path

import msgspec

from backends.errors import BuildError
from backends.models.manifest import Manifest
from backends.models.store import Store
from backends.sockets import short_socket_path
from backends.types import Variant
from backends.worker.spec import WorkerSpec

__all__ = ("LaunchPad", "expected_bytes")

_OVERHEAD_BYTES = 384 * 2**20
"""Interpreter, engine and cache of a small model, before anything was measured."""


class LaunchPad(msgspec.Struct, frozen=True):
    """Where builds are and where sockets go."""

    store: Store
    run_directory: Path
    threads: int | None = None
    """Threads of each engine; all cores when absent."""

    def spec(self, variant: Variant, *, revision: str) -> WorkerSpec:
        """What the worker of one build is told, with a socket of its own.

        Raises:
            BuildError: The variant that drafts for it is not built.
        """
        draft = variant.decoding.draft
        if draft is not None and self.store.current(draft) is None:
            raise BuildError(f"{variant.name} drafts with {draft}, and {self.store.problem(draft)}")
        # A number of its own for each worker: the next one starts while the last one still answers.
        socket_path = self.run_directory / f"{variant.name}-{next(_numbers)}.sock"
        return WorkerSpec(
            name=variant.name,
            engine=variant.engine,
            model_path=str(self.store.path(variant.name, revision=revision)),
            socket_path=str(short_socket_path(socket_path)),
            context_tokens=variant.context_tokens,
            max_running=variant.max_running,
            dtype=variant.dtype,
            decoding=variant.decoding,
            draft_path=str(self.store.path(draft)) if draft is not None else None,
            capabilities=variant.capabilities,
            threads=self.threads,
        )


def expected_bytes(variant: Variant, manifest: Manifest) -> int:
    """What a worker is going to take: as configured, as measured for the card, or guessed from its files."""
    if variant.memory_bytes is not None:
        return variant.memory_bytes
    if manifest.card is not None:
        return manifest.card.resident_bytes
    return sum(file.size_bytes for file in manifest.files) + _OVERHEAD_BYTES


_numbers = itertools.count(1)
