"""Variants are timed in turns, one at a time, and a card says whether the machine was busy meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.builder.card import TURNS, measure_in_turns
from backends.builder.evaluate import Score
from backends.builder.latency import Timing, Turn
from backends.builder.quiet import CpuTimes
from backends.errors import BackendError, EngineError
from backends.models.manifest import Card, TaskScore
from backends.progress import Progress
from backends.types import Engine
from backends.worker.spec import WorkerSpec

TPOT_S = 0.01


class Bench:
    """Fake workers and a fake processor: what was done in which order, and what others did meanwhile."""

    def __init__(self, *, others: float = 0.0, stolen: float = 0.0, slow_turn: float = 1.0) -> None:
        self.done: list[str] = []
        self.running: set[str] = set()
        self.failing: dict[str, str] = {}
        """The step at which a variant fails."""
        self.others, self.stolen, self.slow_turn = others, stolen, slow_turn
        self.now_s = 0.0

    def read(self) -> CpuTimes:
        own = 1.0 - self.others - self.stolen
        return CpuTimes(self.now_s, (own + self.others) * self.now_s, self.stolen * self.now_s, own * self.now_s)

    async def start(self, spec: WorkerSpec) -> Subject:
        self.note(spec.name, "start")
        self.running.add(spec.name)
        return Subject(self, spec.name)

    def note(self, name: str, step: str) -> None:
        self.done.append(f"{name} {step}")
        if self.failing.get(name) == step:
            raise EngineError(f"{name} fails")


class Subject:
    cold_start_s = 3.0

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench, self.name = bench, name
        self.turns = 0

    async def time(self) -> Turn:
        self.bench.note(self.name, "time")
        self.bench.now_s += 1.0
        self.turns += 1
        slower = self.bench.slow_turn if self.turns == 2 else 1.0
        return Turn(short=timings(60, 0.1, slower), long=timings(500, 0.54, slower), together=timings(60, 0.2, 8.0))

    async def score(self, on_answer: Callable[[float], None]) -> Score:
        self.bench.note(self.name, "score")
        on_answer(1.0)
        return Score(families={"capitals": TaskScore(correct=3, total=4)}, completion_tokens=20.0)

    async def resident_bytes(self) -> int:
        return 1000

    async def stop(self) -> None:
        self.bench.running.remove(self.name)


def timings(prompt_tokens: int, ttft_s: float, slower: float) -> tuple[Timing, ...]:
    one = Timing(ttft_s=slower * ttft_s, tpot_s=slower * TPOT_S, prompt_tokens=prompt_tokens, completion_tokens=40)
    return (one, one)


def specs(directory: Path, *names: str) -> Iterator[WorkerSpec]:
    for name in names:
        yield WorkerSpec(
            name=name,
            engine=Engine.OPENVINO,
            model_path="/nowhere",
            socket_path=str(directory / f"{name}.sock"),
            context_tokens=2048,
            max_running=8,
        )


async def measured(
    directory: Path, bench: Bench, *names: str, sink: Callable[[Progress], None] = lambda _: None
) -> dict[str, Card | BackendError]:
    found = await measure_in_turns(list(specs(directory, *names)), sink=sink, start=bench.start, read=bench.read)
    assert not bench.running, "every worker is stopped"
    return found


async def card_of(directory: Path, bench: Bench) -> Card:
    card = (await measured(directory, bench, "a"))["a"]
    assert isinstance(card, Card)
    return card


async def test_variants_take_turns(tmp_path: Path) -> None:
    bench = Bench()
    await measured(tmp_path, bench, "a", "b", "c")
    assert [step for step in bench.done if "time" in step] == TURNS * ["a time", "b time", "c time"]


async def test_a_card_holds_the_medians_of_all_turns(tmp_path: Path) -> None:
    card = await card_of(tmp_path, Bench(slow_turn=3.0))
    assert (card.ttft_s, card.tpot_s, card.prompt_tokens) == pytest.approx((0.1, TPOT_S, 60))
    assert (card.prefill_tokens_per_s, card.batch_tokens_per_s) == pytest.approx((1000.0, 2 / (8 * TPOT_S)))
    assert (card.quality, card.completion_tokens, card.cold_start_s, card.resident_bytes) == (0.75, 20.0, 3.0, 1000)


@pytest.mark.parametrize(
    ("bench", "busy"),
    [
        (Bench(), False),
        (Bench(others=0.1, stolen=0.01, slow_turn=1.1), False),
        (Bench(others=0.4), True),
        (Bench(stolen=0.1), True),
        (Bench(slow_turn=2.0), True),
    ],
    ids=["quiet", "nearly quiet", "other processes", "other virtual machines", "turns differ"],
)
async def test_a_card_says_whether_the_machine_was_busy(tmp_path: Path, bench: Bench, busy: bool) -> None:
    card = await card_of(tmp_path, bench)
    assert card.conditions is not None
    assert card.busy is busy
    assert (card.conditions.others_cpu, card.conditions.stolen_cpu) == pytest.approx((bench.others, bench.stolen))
    assert card.conditions.spread == pytest.approx(bench.slow_turn - 1.0)


@pytest.mark.parametrize("step", ["start", "time", "score"])
async def test_one_that_fails_leaves_the_others_their_cards(tmp_path: Path, step: str) -> None:
    bench = Bench()
    bench.failing["a"] = step
    found = await measured(tmp_path, bench, "a", "b")
    assert isinstance(found["a"], EngineError)
    assert isinstance(found["b"], Card)
    assert [done for done in bench.done if done.startswith("a")][-1] == f"a {step}", "nothing more is asked of it"


async def test_progress_only_grows(tmp_path: Path) -> None:
    told: list[Progress] = []
    await measured(tmp_path, Bench(), "a", "b", sink=told.append)
    for name in ("a", "b"):
        shares = [step.done for step in told if step.variant == name]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0
