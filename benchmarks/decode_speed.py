"""How fast the variants decode against each other: a worker of each, one answer at a time, in turns.

Taking turns lets the ratios hold even where the machine's speed drifts. Prints one JSON object: milliseconds per
token (median and tenth percentile over the answers) and the speed of each relative to `quantized`.

    .venv/bin/python benchmarks/decode_speed.py --rounds 20
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from backends.builder.latency import time_answer
from backends.models.store import Store
from backends.supervisor.launch import LaunchPad
from backends.worker.process import WorkerProcess
from gateway.settings import load_settings

BASE = "quantized"
ANSWER_TOKENS = 64
PROMPT = "Write a long story about a dog and the city, chapter {}."


async def main(rounds: int, var: Path) -> dict[str, object]:
    """Start the workers, ask them in turns, compare."""
    store = Store(var / "models")
    times: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        pad = LaunchPad(store, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        workers: dict[str, WorkerProcess] = {}
        for variant in load_settings().variants:
            spec = pad.spec(variant, revision=store.build(variant.name).manifest.revision)
            workers[variant.name] = await stack.enter_async_context(await WorkerProcess.start(spec))
            await workers[variant.name].wait_ready(timeout_s=300)
        for turn in range(-1, rounds):
            for name, worker in workers.items():
                timing = await time_answer(worker.client, PROMPT.format(turn), max_tokens=ANSWER_TOKENS)
                if turn >= 0:
                    times.setdefault(name, []).append(timing.tpot_s)
    return {
        "rounds": rounds,
        "ms_per_token": {name: _ms(values) for name, values in times.items()},
        "speed_relative_to_quantized": {
            name: {
                "median_of_pairs": statistics.median(b / v for b, v in zip(times[BASE], values, strict=True)),
                "p10": _p10(times[BASE]) / _p10(values),
            }
            for name, values in times.items()
        },
    }


def _ms(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values) * 1000, "p10": _p10(values) * 1000}


def _p10(values: list[float]) -> float:
    return sorted(values)[len(values) // 10]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--var", type=Path, default=Path("var"), help="State directory with the built variants.")
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(main(arguments.rounds, arguments.var)), indent=2))
