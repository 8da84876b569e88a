"""Processes on one database learn from each other's judgements, and one that is started anew goes on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine

from gateway.decisions.log import DecisionLog
from gateway.learning import trainings
from gateway.learning.estimators import ActiveEstimator
from gateway.learning.following import LogFollower
from gateway.learning.online import OnlineLearner
from gateway.learning.opened import open_learning
from gateway.learning.store import EstimatorStore
from gateway.learning.tail import LogTail
from gateway.paths import StatePaths
from gateway.policyops.active import ActivePolicy
from policies.features.layout import VERSION
from policies.priorities import DEFAULT_POLICY
from policies.types import Estimate
from tests.decision_rows import decision, observation, outcome
from tests.fitted import FEATURES, latency_artifact
from tests.learned_state import a_fit
from tests.policy_strategies import candidate, request

NAMES = ("full", "quantized")
CANDIDATES = [candidate(name) for name in NAMES]


def predicted(online: OnlineLearner, tenant: str = "zoo") -> list[Estimate]:
    return list(online.learner.estimate(request(tenant=tenant, features=FEATURES), CANDIDATES))


def answer(
    log: DecisionLog, name: str, *, variant: str = "quantized", score: float | None = None, at_s: float = 0.0
) -> None:
    """Record a request that a process has decided and answered, and its judgement if there is one."""
    verdicts = [{"variant": each, "state": "warm"} for each in NAMES]
    seen = {"features": FEATURES, "features_hash": VERSION, "created_at_s": 1_700_000_000.0 + at_s}
    log.record(decision(name, tenant="zoo", candidates=verdicts, choice=variant, **seen))
    attempt = {"variant": variant, "propensity": 0.5, "latency_s": 1.0, "error_type": None}
    log.record(outcome(name, variant=variant, attempts=[attempt]))
    if score is not None:
        log.record(observation(name, score=score))


@dataclass
class Process:
    """A process as far as it learns."""

    online: OnlineLearner
    log: DecisionLog


@asynccontextmanager
async def process(url: str) -> AsyncIterator[Process]:
    """One that records its requests and learns from them."""
    online = OnlineLearner(charge=lambda _tenant, _usd: None)
    log = DecisionLog(url, follow=online.follow)
    await log.start()
    try:
        yield Process(online, log)
    finally:
        await log.aclose()


async def test_a_judgement_made_at_one_process_moves_the_predictions_of_the_other(url: str, engine: Engine) -> None:
    async with process(url) as here, process(url) as there:
        follow_here = LogFollower(LogTail(engine, variants=NAMES), here.online.deliver)
        follow_there = LogFollower(LogTail(engine, variants=NAMES), there.online.deliver)
        before = predicted(there.online)
        for number in range(20):
            answer(here.log, f"here_{number}", score=0.0)
            answer(there.log, f"there_{number}", variant="full", score=1.0)
        await asyncio.gather(here.log.flush(), there.log.flush())
        for follower in (follow_here, follow_there):
            await follower.look()
        for each in (here, there):
            await each.online.settle()
            assert (each.online.learner.answered, each.online.learner.judged) == (40, 40), "each once"
        full, quantized = predicted(there.online)
        assert quantized.quality < before[1].quality - 0.2, "which only the other process was told of"
        assert full.quality > before[0].quality + 0.1
        for mine, theirs in zip(predicted(here.online), (full, quantized), strict=True):
            assert mine.quality == pytest.approx(theirs.quality, abs=0.1)
            assert mine.completion_tokens == pytest.approx(theirs.completion_tokens, rel=0.05)


@asynccontextmanager
async def opened(engine: Engine, url: str, directory: Path, *, name: str = "api-1") -> AsyncIterator[Process]:
    """A process that restores what it knew, follows the log, and keeps a snapshot when it ends."""
    async with process(url) as made, AsyncExitStack() as stack:
        estimators = ActiveEstimator(ActivePolicy(DEFAULT_POLICY), engine, online=made.online, variants=NAMES)
        await open_learning(
            stack,
            engine=engine,
            online=made.online,
            estimators=estimators,
            variants=NAMES,
            paths=StatePaths(root=directory),
            process=name,
        )
        yield made


def close(before: Sequence[Estimate], after: Sequence[Estimate], *, within: float) -> bool:
    figures = ("quality", "quality_se", "completion_tokens", "latency_s", "ttft_s")
    pairs = [(getattr(b, f), getattr(a, f)) for b, a in zip(before, after, strict=True) for f in figures]
    return all(a == pytest.approx(b, rel=within, abs=within) for b, a in pairs)


async def learned(running: Process, *, count: int = 60, prefix: str = "dec") -> None:
    """Let it answer and be told how good that was."""
    for number in range(count):
        answer(
            running.log,
            f"{prefix}_{number}",
            variant=NAMES[number % 2],
            score=float(number % 4 == 0),
            at_s=float(number),
        )
        await running.online.settle()
    await running.log.flush()


async def test_a_restart_predicts_as_before(url: str, engine: Engine, tmp_path: Path) -> None:
    async with opened(engine, url, tmp_path) as first:
        await learned(first)
        await first.online.settle()
        before, told = predicted(first.online), first.online.learner.judged
    async with opened(engine, url, tmp_path) as second:
        assert close(before, predicted(second.online), within=1e-9)
        assert second.online.learner.judged == told == 60
        assert second.online.learner.tried == first.online.learner.tried


async def test_what_was_judged_while_a_process_was_away_is_counted_when_it_is_back(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    async with opened(engine, url, tmp_path) as first:
        await learned(first, count=8)
    async with process(url) as elsewhere:
        await learned(elsewhere, count=10, prefix="elsewhere")
        elsewhere.log.record(observation("dec_0", number=2, score=0.0))
        await elsewhere.log.flush()
    async with opened(engine, url, tmp_path) as second:
        assert (second.online.learner.answered, second.online.learner.judged) == (18, 18)


async def test_a_process_without_a_snapshot_counts_what_the_log_holds_before_it_serves(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    async with opened(engine, url, tmp_path / "a") as first:
        await learned(first)
        before = predicted(first.online)
    async with opened(engine, url, tmp_path / "b") as second:
        assert second.online.learner.judged == 60
        assert close(before, predicted(second.online), within=0.05)


async def test_a_new_process_goes_on_from_the_snapshot_of_another(url: str, engine: Engine, tmp_path: Path) -> None:
    async with opened(engine, url, tmp_path, name="api-1") as first:
        await learned(first)
        before = predicted(first.online)
    async with opened(engine, url, tmp_path, name="api-2") as second:
        assert close(before, predicted(second.online), within=1e-9)


async def test_a_damaged_snapshot_is_passed_over(url: str, engine: Engine, tmp_path: Path) -> None:
    async with opened(engine, url, tmp_path) as first:
        await learned(first, count=8)
    [file] = StatePaths(root=tmp_path).learned.glob("*.snapshot")
    file.write_bytes(file.read_bytes()[:-20])
    async with opened(engine, url, tmp_path) as second:
        assert second.online.learner.judged == 8


async def test_a_restart_keeps_how_much_slower_a_variant_is_under_fitted_times(
    url: str, engine: Engine, tmp_path: Path
) -> None:
    name = EstimatorStore(engine).put(latency_artifact(*NAMES))
    trainings.record(engine, a_fit(latency=name), publish=True)
    async with opened(engine, url, tmp_path) as first:
        predicted(first.online)  # Times are corrected for variants that were decided about.
        await learned(first, count=20)
        await first.online.settle()
        before = predicted(first.online)
    async with opened(engine, url, tmp_path) as second:
        assert close(before, predicted(second.online), within=1e-9)
