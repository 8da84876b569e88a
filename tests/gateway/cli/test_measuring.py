"""Cards measured on a busy machine are measured again when it is quiet, a bounded number of times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import psutil
import pytest

from backends.builder.machine import this_machine
from backends.errors import BackendError, EngineError
from backends.models.manifest import Card, Conditions
from backends.models.store import Store
from backends.progress import Progress
from backends.types import Capability, Variant
from backends.worker.spec import WorkerSpec
from gateway.cli.measuring import ATTEMPTS, Measuring
from gateway.paths import StatePaths
from tests.gateways import CARD
from tests.model_helpers import a_variant, publish_bytes


class Scene:
    """A store of builds, and a fake measurement that finds the machine busy as often as it is told."""

    def __init__(self, root: Path, *names: str) -> None:
        self.paths = StatePaths(root=root)
        self.store = Store(self.paths.models)
        self.variants = [a_variant(name=name) for name in names]
        for variant in self.variants:
            publish_bytes(self.store, variant.name.encode(), variant=variant)
        self.busy: dict[str, int] = {}
        """How many measurements of a variant are yet to find the machine busy."""
        self.broken: set[str] = set()
        self.groups: list[list[str]] = []
        """Variants measured together, in order."""
        self.waits = 0
        self.quiet = True
        self.told: list[Progress] = []

    @property
    def measuring(self) -> Measuring:
        return Measuring(self.paths, sink=self.told.append, measure=self.measure, quiet=self.wait)

    async def measure(
        self, specs: Sequence[WorkerSpec], *, sink: Callable[[Progress], None]
    ) -> dict[str, Card | BackendError]:
        self.groups.append([spec.name for spec in specs])
        return {spec.name: self._card(spec.name) for spec in specs}

    async def wait(self, *, timeout_s: float) -> bool:
        assert timeout_s > 0
        self.waits += 1
        return self.quiet

    def marked(self) -> list[str]:
        """Variants whose card says that the machine was busy."""
        cards = {variant.name: self.card(variant) for variant in self.variants}
        return [name for name, card in cards.items() if card is not None and card.busy]

    def card(self, variant: Variant) -> Card | None:
        manifest = self.store.current(variant.name)
        assert manifest is not None
        return manifest.card

    def _card(self, name: str) -> Card | BackendError:
        if name in self.broken:
            return EngineError(f"{name} would not start")
        busy = self.busy.get(name, 0) > 0
        self.busy[name] = self.busy.get(name, 0) - 1
        conditions = Conditions(busy=busy, others_cpu=0.5 * busy, stolen_cpu=0.0, spread=0.0)
        return msgspec.structs.replace(CARD, machine=this_machine(), conditions=conditions)


async def test_only_what_was_measured_on_a_busy_machine_is_measured_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "a", "b")
    scene.busy = {"a": 1}
    await scene.measuring.measure(scene.variants)
    assert scene.marked() == ["a"]
    await scene.measuring.measure_again(scene.variants)
    assert (scene.groups, scene.waits, scene.marked()) == ([["a", "b"], ["a"]], 1, [])


async def test_nothing_is_waited_for_where_all_was_quiet(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "a")
    await scene.measuring.measure(scene.variants)
    await scene.measuring.measure_again(scene.variants)
    assert (scene.groups, scene.waits) == ([["a"]], 0)


async def test_it_is_given_up_after_some_attempts_and_the_card_stays_marked(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "a")
    scene.busy = {"a": 100}
    await scene.measuring.measure(scene.variants)
    await scene.measuring.measure_again(scene.variants)
    assert len(scene.groups) == 1 + ATTEMPTS
    assert scene.marked() == ["a"]
    assert "stays marked" in scene.told[-1].message


async def test_nothing_is_measured_while_the_machine_does_not_become_quiet(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "a")
    scene.busy, scene.quiet = {"a": 100}, False
    await scene.measuring.measure(scene.variants)
    await scene.measuring.measure_again(scene.variants)
    assert (len(scene.groups), scene.waits) == (1, ATTEMPTS)


async def test_one_that_cannot_be_measured_costs_no_other_card(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "a", "b")
    scene.broken = {"a"}
    with pytest.raises(EngineError, match="a would not start"):
        await scene.measuring.measure(scene.variants)
    assert [scene.card(variant) is None for variant in scene.variants] == [True, False]


async def test_what_only_embeds_is_not_measured(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "a")
    embedder = msgspec.structs.replace(a_variant(name="e"), capabilities=(Capability.EMBEDDINGS,))
    await scene.measuring.measure([embedder, *scene.variants])
    assert scene.groups == [["a"]]


async def test_only_workers_that_fit_into_memory_run_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(tmp_path, "a", "b", "c")
    variants = [msgspec.structs.replace(variant, memory_bytes=300) for variant in scene.variants]
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 1000, "total": 2000}))
    await scene.measuring.measure(variants)
    assert scene.groups == [["a", "b"], ["c"]]
