"""Measures builds and keeps their cards: in turns, and again once the machine is quiet where it was not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

import psutil

from backends.builder.card import measure_in_turns
from backends.builder.quiet import wait_until_quiet
from backends.errors import BackendError
from backends.models.manifest import Card
from backends.models.store import Store
from backends.progress import Progress, ProgressSink
from backends.supervisor.launch import LaunchPad, expected_bytes
from backends.types import Variant
from backends.worker.spec import WorkerSpec
from gateway.paths import StatePaths

__all__ = ("Measuring",)

MEMORY_SHARE = 0.75
"""Of the memory that is free, what workers that are measured together may take."""

ATTEMPTS = 3
QUIET_WITHIN_S = 900.0
"""Each time that a card is to be measured again, the machine must become quiet within this time."""

Measure = Callable[..., Awaitable[dict[str, Card | BackendError]]]


class Measuring:
    """Measures builds of one store."""

    def __init__(
        self,
        paths: StatePaths,
        *,
        sink: ProgressSink,
        measure: Measure = measure_in_turns,
        quiet: Callable[..., Awaitable[bool]] = wait_until_quiet,
    ) -> None:
        """Prepare.

        Args:
            paths: Where builds are kept, and sockets made.
            sink: Told of the progress.
            measure: Makes the cards, for tests.
            quiet: Waits until the machine is quiet, for tests.
        """
        self._store = Store(paths.models)
        self._pad = LaunchPad(self._store, paths.run / "bench")
        self._sink = sink
        self._measure = measure
        self._quiet = quiet

    async def measure(self, variants: Sequence[Variant]) -> None:
        """Measure variants afresh; those that only embed have no card.

        Raises:
            BackendError: One could not be measured. The cards of the others are kept.
        """
        errors: list[BackendError] = []
        for group in self._groups([variant for variant in variants if not variant.embeds_only]):
            errors += await self._measure_group(group)
        if errors:
            raise errors[0]

    async def measure_again(self, variants: Sequence[Variant]) -> None:
        """Measure anew, as soon as the machine is quiet, those whose card was measured while it was busy.

        Given up after some attempts; the card then stays marked, and the next start tries again.

        Raises:
            BackendError: One could not be measured.
        """
        for _ in range(ATTEMPTS):
            busy = [variant for variant in variants if self._is_busy(variant)]
            if not busy:
                return
            for variant in busy:
                self._tell(variant, "waits until the machine is quiet")
            if await self._quiet(timeout_s=QUIET_WITHIN_S):
                await self.measure(busy)
        for variant in variants:
            if self._is_busy(variant):
                self._tell(variant, "the machine was never quiet: the card stays marked")

    async def _measure_group(self, group: Sequence[Variant]) -> list[BackendError]:
        """Measure some together and keep their cards; returns what went wrong."""
        revisions = {variant.name: self._store.build(variant.name).manifest.revision for variant in group}
        specs: list[WorkerSpec] = [self._pad.spec(variant, revision=revisions[variant.name]) for variant in group]
        found = await self._measure(specs, sink=self._sink)
        for name, card in found.items():
            if isinstance(card, Card):
                self._store.write_card(name, card, revision=revisions[name])
        return [error for error in found.values() if isinstance(error, BackendError)]

    def _is_busy(self, variant: Variant) -> bool:
        manifest = self._store.current(variant.name)
        return manifest is not None and manifest.card is not None and manifest.card.busy

    def _groups(self, variants: Sequence[Variant]) -> Iterator[list[Variant]]:
        """Variants whose workers fit into memory together, in their order."""
        limit_bytes, group, taken_bytes = MEMORY_SHARE * psutil.virtual_memory().available, list[Variant](), 0
        for variant in variants:
            more_bytes = expected_bytes(variant, self._store.build(variant.name).manifest)
            if group and taken_bytes + more_bytes > limit_bytes:
                yield group
                group, taken_bytes = [], 0
            group.append(variant)
            taken_bytes += more_bytes
        if group:
            yield group

    def _tell(self, variant: Variant, message: str) -> None:
        self._sink(Progress(variant=variant.name, stage="measure", message=message))
