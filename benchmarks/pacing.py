"""How long the pacing of one request takes: admit, read the price, remember what could be chosen, charge.

Eight candidates on a frontier of cost, a full window of requests. Beside it the same for a tenant's mean quality
(`policies.promises.keeper`). Solutions of the price are a part of it: they are what the slowest requests wait for.
Prints one JSON object and writes it to benchmarks/results/pacing.json.

    .venv/bin/python benchmarks/pacing.py
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil

from policies.pacing import WINDOW, Pacer
from policies.policy import Budget
from policies.promises.keeper import Answer, Keeper
from policies.promises.types import Sla

RESULTS = Path(__file__).parent / "results" / "pacing.json"
CANDIDATES = 8
BUDGET_USD, MEAN_QUALITY = 1e-3, 0.7
TARGET_P99_US = 600.0

Way = Callable[[int, Sequence[float], Sequence[float]], object]


def main(requests: int, rounds: int) -> dict[str, object]:
    """Time both; p50 of the fastest round, p99 of the quietest, for a machine that others use too."""
    rng = np.random.default_rng(0)
    frontier_usd = np.geomspace(1e-5, 1e-2, CANDIDATES)
    quality = np.clip(np.linspace(0.5, 0.8, CANDIDATES) + rng.normal(0.0, 0.1, (requests, CANDIDATES)), 0.0, 1.0)
    cost_usd = frontier_usd * rng.lognormal(0.0, 0.4, (requests, CANDIDATES))
    found = {}
    for name, begin in {"budget": _budget, "mean_quality": _mean_quality}.items():
        took = np.array([_timed(begin(), quality, cost_usd) for _ in range(rounds)])
        p50, p99 = np.percentile(took, (50, 99), axis=1).min(axis=1).round(1).tolist()
        found[name] = {"p50_us": p50, "p99_us": p99}
    return {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": psutil.cpu_count()},
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
        "candidates": CANDIDATES,
        "window": WINDOW,
        "requests": requests,
        "rounds": rounds,
        "ways": found,
        "targets": {"p99_us": TARGET_P99_US, "met": all(of["p99_us"] <= TARGET_P99_US for of in found.values())},
    }


def _budget() -> Way:
    pacer = Pacer(Budget(usd=BUDGET_USD), now_s=0.0)

    def paced(number: int, qualities: Sequence[float], costs_usd: Sequence[float]) -> None:
        pacer.admit(now_s=float(number))
        price, most_usd = pacer.price_per_usd, pacer.ceiling_usd
        options = zip(qualities, costs_usd, strict=True)
        values = [quality - price * usd if usd <= most_usd else -np.inf for quality, usd in options]
        pacer.foresee(qualities, costs_usd)
        pacer.charge(costs_usd[values.index(max(values))])

    return paced


def _mean_quality() -> Way:
    keeper = Keeper(Sla(window_s=300.0, mean_quality=MEAN_QUALITY), now_s=0.0)

    def kept(number: int, qualities: Sequence[float], costs_usd: Sequence[float]) -> None:
        keeper.admit(now_s=float(number))
        price = keeper.prices.per_quality
        worth = [-np.log(usd) / 10.0 for usd in costs_usd]
        values = [utility - price * (1.0 - q) for utility, q in zip(worth, qualities, strict=True)]
        keeper.foresee(worth, qualities)
        answer = Answer(ttft_s=None, latency_s=1.0, quality=qualities[values.index(max(values))])
        keeper.answered(answer, now_s=float(number))

    return kept


def _timed(way: Way, quality: np.ndarray, cost_usd: np.ndarray) -> np.ndarray:
    """Microseconds of each request once the window is full."""
    took_us = []
    for number, (qualities, costs_usd) in enumerate(zip(quality.tolist(), cost_usd.tolist(), strict=True)):
        began_ns = time.perf_counter_ns()
        way(number, qualities, costs_usd)
        took_us.append((time.perf_counter_ns() - began_ns) / 1e3)
    return np.array(took_us[WINDOW:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5000, help="Of each round, the first window's not counted.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="Print only.")
    arguments = parser.parse_args()
    result = main(arguments.requests, arguments.rounds)
    print(json.dumps(result, indent=1))
    if not arguments.no_write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
