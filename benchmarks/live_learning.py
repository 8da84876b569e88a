"""What `auto` learns from live, judged traffic: three real models replayed behind a gateway as it comes.

The recorded answers of three real models (`live/answers.jsonl`) are served as upstreams. A real gateway, in processes
of its own and with every setting at its default, is told their prices, the same quality of .5 for each, and nothing
else. Requests are sent one after the other, and every answer is judged by `POST /v1/feedback` with its recorded
score.

- `balanced`: eleven passes over all tasks, each in a random order of its own; reported after 300 and 600 requests
- `accuracy`: four passes; reported after 250
- `halves`: `balanced` for 300 requests on half of the tasks, then two passes over the other half without judgements

Realised utility is `quality - price_usd * dollars - price_s * seconds`. The prices are at the knee: half of the slope
of the chord from the cheapest (for dollars) or the fastest (for seconds) fixed model to the best one, over the means
of all tasks. The price list is proportional to the time per token: $0.36 for an hour of generating. Dollars and
seconds are those of the recorded pace, for the chosen model and for the fixed one alike: the gateway's own
milliseconds and the speed of the replay can change what is chosen, but not what it is worth. `accuracy` counts
quality alone.

Every model's answer to every task is known, so each request is compared with what the best fixed model (over all
tasks) would have been worth on the very same one. Standard errors are over seeds; with one seed, over its requests.

With `--speed` above 1 the answers come that many times as fast, and so do the judgements: what the gateway does by
the clock (it fits at most once a minute) then happens less often per request, and the gateway's own milliseconds
weigh more. What is published is made at speed 1.

Writes benchmarks/results/live-learning.json and docs/pictures/live-learning.svg.

    .venv/bin/python benchmarks/live_learning.py --data DIR      # or TRILEMMA_DATA; 25 minutes on two cores
    .venv/bin/python benchmarks/live_learning.py --seeds 2 --speed 8 --no-write    # a quick look
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import aiohttp
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.live_learning_picture import draw
from benchmarks.standing import until_ready
from gateway.demo.recordings import (
    MODELS,
    RecordedTask,
    UtilityPrices,
    best_fixed,
    configuration,
    fixed_utilities,
    knee_prices,
    read_tasks,
    utility,
)
from gateway.demo.replay import replaying

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "live-learning.json"
PICTURE = ROOT / "docs" / "pictures" / "live-learning.svg"
LATEST = 126
"""Requests of the windowed figures: two passes over the tasks."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One kind of run."""

    name: str
    priority: str
    passes: int
    marks: tuple[int, ...]
    """Requests after which figures are taken; of all of them where there is none."""


BALANCED = Protocol(name="balanced", priority="balanced", passes=11, marks=(300, 600))
ACCURACY = Protocol(name="accuracy", priority="accuracy", passes=4, marks=(250,))
HALVES = Protocol(name="halves", priority="balanced", passes=2, marks=())
TRAINED_ON = 300
"""Judged requests of `halves` before the other half is asked."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """The requests of one gateway in their order, with the model that answered each."""

    seed: int
    tasks: list[RecordedTask]
    variants: list[str]

    def gains(self, prices: UtilityPrices, against: str) -> np.ndarray:
        """Utility of each answer less that of the same model for all."""
        return np.array(
            [
                utility(task, variant, prices) - utility(task, against, prices)
                for task, variant in zip(self.tasks, self.variants, strict=True)
            ]
        )


async def main(options: argparse.Namespace) -> dict[str, Any]:
    """All runs, and what they came to."""
    tasks = read_tasks(options.data / "live" / "answers.jsonl")
    slots = asyncio.Semaphore(options.jobs)
    wanted = [(protocol, seed) for protocol in (BALANCED, ACCURACY, HALVES) for seed in range(options.seeds)]

    async def one(protocol: Protocol, seed: int) -> Run:
        async with slots:
            run = await measured(protocol, tasks, seed, options)
        print(f"{protocol.name}, seed {seed}: {dict(Counter(run.variants))}", file=sys.stderr)
        return run

    chosen = [(protocol, seed) for protocol, seed in wanted if protocol.name in options.only]
    runs = await asyncio.gather(*(one(protocol, seed) for protocol, seed in chosen))
    knee, alone = knee_prices(tasks), UtilityPrices()
    found: dict[str, Any] = {
        "tasks": len(tasks),
        "models": list(MODELS),
        "seeds": options.seeds,
        "speed": options.speed,
        "times_stated": options.times_stated,
        "prices_at_the_knee": {"per_usd": knee.per_usd, "per_s": knee.per_s},
        "window": LATEST,
    }
    for protocol, prices in ((BALANCED, knee), (ACCURACY, alone), (HALVES, knee)):
        own = [run for (of, _), run in zip(chosen, runs, strict=True) if of is protocol]
        if own:
            found[protocol.name] = figures(protocol, own, tasks, prices)
    return found


async def measured(protocol: Protocol, tasks: Sequence[RecordedTask], seed: int, options: argparse.Namespace) -> Run:
    """One fresh gateway and all requests of a run."""
    rng = np.random.default_rng((seed, protocol.passes))
    async with (
        replaying(tasks, speed=options.speed) as upstream,
        gateway(configuration(upstream, speed=options.speed, times_stated=options.times_stated)) as url,
        aiohttp.ClientSession() as session,
    ):
        if protocol is HALVES:
            learned, judged = halves(tasks, seed=seed)
            order = passes(learned, rng, -(-TRAINED_ON // len(learned)))[:TRAINED_ON]
            await served(session, url, order, protocol.priority, judged=True)
            order = passes(judged, rng, protocol.passes)
            return Run(seed=seed, tasks=order, variants=await served(session, url, order, protocol.priority))
        order = passes(tasks, rng, protocol.passes)
        variants = await served(session, url, order, protocol.priority, judged=True)
        return Run(seed=seed, tasks=order, variants=variants)


def passes(tasks: Sequence[RecordedTask], rng: np.random.Generator, count: int) -> list[RecordedTask]:
    """All tasks so many times, each time in a new order."""
    return [tasks[place] for _ in range(count) for place in rng.permutation(len(tasks))]


def halves(tasks: Sequence[RecordedTask], *, seed: int) -> tuple[list[RecordedTask], list[RecordedTask]]:
    """The tasks to learn from and those to judge: about half of each family, drawn; odd seeds swap those before."""
    rng, families = np.random.default_rng(seed // 2), sorted({task.family for task in tasks})
    parts: tuple[list[RecordedTask], list[RecordedTask]] = ([], [])
    place = seed % 2
    for family in families:
        own = [task for task in tasks if task.family == family]
        for drawn in rng.permutation(len(own)):
            parts[place % 2].append(own[drawn])
            place += 1
    return parts


async def served(
    session: aiohttp.ClientSession, url: str, order: Sequence[RecordedTask], priority: str, *, judged: bool = False
) -> list[str]:
    """Ask one after the other, judge each answer if so wanted, and tell which models answered."""
    variants = []
    for task in order:
        body = {"messages": [{"role": "user", "content": task.prompt}], "max_tokens": task.max_tokens}
        async with session.post(f"{url}/v1/chat/completions", json=body | {"priority": priority}) as reply:
            answer = await reply.json()
            assert reply.status == 200, answer
            decision = reply.headers["x-trilemma-decision"]
        variants.append(answer["model"])
        if judged:
            score = {"decision_id": decision, "score": task.answers[answer["model"]].score}
            async with session.post(f"{url}/v1/feedback", json=score) as reply:
                assert reply.status == 200, await reply.text()
    return variants


@asynccontextmanager
async def gateway(config: bytes) -> AsyncIterator[str]:
    """`trilemma serve` with this configuration and a state directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        file, log = Path(directory) / "trilemma.yaml", Path(directory) / "serve.log"
        file.write_bytes(config)
        command = [sys.executable, "-m", "gateway.cli", "--config", str(file), "--var", directory, "serve", "--port"]
        port = free_port()
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                str(port),
                cwd=ROOT,
                stdout=output,
                stderr=output,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        try:
            await until_ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            await process.wait()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def figures(
    protocol: Protocol, runs: Sequence[Run], tasks: Sequence[RecordedTask], prices: UtilityPrices
) -> dict[str, Any]:
    """Utility and quality against each fixed model, so far, just before and just after every mark; and the curve."""
    best = best_fixed(tasks, prices)
    length = min(len(run.tasks) for run in runs)
    found: dict[str, Any] = {
        "runs": len(runs),
        "requests": length,
        "best_fixed": best,
        "fixed_utility": fixed_utilities(tasks, prices),
        "fixed_quality": fixed_utilities(tasks, UtilityPrices()),
    }
    for mark in protocol.marks or (length,):
        found[f"after_{mark}"] = {
            "all": stretch(runs, prices, best, slice(0, mark)),
            f"latest_{min(LATEST, mark)}": stretch(runs, prices, best, slice(max(0, mark - LATEST), mark)),
        }
        until = min(mark + LATEST, length)
        if until - mark >= LATEST // 2:
            found[f"after_{mark}"][f"next_{until - mark}"] = stretch(runs, prices, best, slice(mark, until))
    curves = np.array([moving(run.gains(prices, best)[:length]) for run in runs])
    found["curve"] = {
        "best_fixed_is_0": [round(value, 4) for value in curves.mean(axis=0).tolist()],
        "standard_error": [round(value, 4) for value in spread(curves).tolist()],
    }
    return found


def stretch(runs: Sequence[Run], prices: UtilityPrices, best: str, part: slice) -> dict[str, Any]:
    """Figures of the same part of every run."""
    cut = [Run(seed=run.seed, tasks=run.tasks[part], variants=run.variants[part]) for run in runs]
    alone = UtilityPrices()
    chosen = Counter(variant for run in cut for variant in run.variants)
    quality = [fmean(task.answers[v].score for task, v in zip(r.tasks, r.variants, strict=True)) for r in cut]
    return {
        "utility_against_best_fixed": asdict(mean_of([run.gains(prices, best) for run in cut])),
        "utility_against": {m: asdict(mean_of([run.gains(prices, m) for run in cut])) for m in MODELS},
        "quality": fmean(quality),
        "quality_against": {m: asdict(mean_of([run.gains(alone, m) for run in cut])) for m in MODELS},
        "shares": {model: chosen[model] / chosen.total() for model in MODELS},
    }


@dataclass(frozen=True, kw_only=True)
class Mean:
    """A mean with its standard error."""

    mean: float
    standard_error: float
    by_seed: list[float]


def mean_of(gains: Sequence[np.ndarray]) -> Mean:
    """Over seeds; with one seed, the error is over its requests."""
    by_seed = [float(of.mean()) for of in gains]
    spread_over = np.array(by_seed) if len(by_seed) > 1 else gains[0]
    error = float(spread_over.std(ddof=1) / np.sqrt(len(spread_over)))
    return Mean(mean=fmean(by_seed), standard_error=error, by_seed=[round(value, 4) for value in by_seed])


def moving(gains: np.ndarray) -> np.ndarray:
    """Mean over the latest pass at each request, over fewer at the beginning."""
    window = LATEST // 2
    sums = np.concatenate([[0.0], np.cumsum(gains)])
    ends = np.arange(1, len(gains) + 1)
    begins = np.maximum(0, ends - window)
    return (sums[ends] - sums[begins]) / (ends - begins)


def spread(curves: np.ndarray) -> np.ndarray:
    """Standard error over seeds at each request; nothing with one seed."""
    return curves.std(axis=0, ddof=1) / np.sqrt(len(curves)) if len(curves) > 1 else np.zeros(curves.shape[1])


def _without_curves(result: dict[str, Any]) -> dict[str, Any]:
    """What a person wants to read of a result."""
    return {
        name: {key: of for key, of in value.items() if key != "curve"} if isinstance(value, dict) else value
        for name, value in result.items()
    }


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("TRILEMMA_DATA"), help="or TRILEMMA_DATA")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--speed", type=float, default=1.0, help="how many times as fast as recorded")
    parser.add_argument("--jobs", type=int, default=4, help="gateways at the same time; they mostly wait")
    parser.add_argument("--only", nargs="+", default=["balanced", "accuracy", "halves"])
    parser.add_argument("--times-stated", action="store_true", help="state how fast each model is, too")
    parser.add_argument("--no-write", action="store_true", help="print alone")
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data or TRILEMMA_DATA names the folder with live/answers.jsonl")
    return options


if __name__ == "__main__":
    options = arguments()
    result = asyncio.run(main(options))
    if not options.no_write:
        RESULTS.write_text(json.dumps(result) + "\n")
        PICTURE.write_bytes(draw(result))
    print(json.dumps(_without_curves(result), indent=1))
