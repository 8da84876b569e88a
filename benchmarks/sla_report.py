"""What a report on promises takes: time, memory, and how much it holds up the event loop of the process that serves.

The baseline reads the same requests into Python and counts there. Both read one day of one tenant out of a log that
two share, on SQLite, in turns; meanwhile a loop asks for the time every millisecond, and its longest pause is taken.
Writes `benchmarks/results/sla-report.json`.

    .venv/bin/python benchmarks/sla_report.py --requests 100000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sqlalchemy.engine import Engine

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from gateway.decisions.migrate import upgrade  # noqa: E402
from gateway.decisions.read import export  # noqa: E402
from gateway.decisions.schema import open_engine  # noqa: E402
from gateway.decisions.types import Ending, Row  # noqa: E402
from gateway.decisions.write import insert  # noqa: E402
from gateway.sla.report import report  # noqa: E402
from gateway.tenants.types import Tenant  # noqa: E402
from policies.promises.types import Sla  # noqa: E402
from policies.signals import label  # noqa: E402
from tests.decision_rows import decision, observation, outcome  # noqa: E402

NOW_S, DAY_S, WINDOW_S = 1_800_000_000.0, 86_400.0, 3600.0
SLA = Sla(window_s=WINDOW_S, ttft_p95_s=0.5, latency_p95_s=0.5, mean_quality=0.5, availability=0.9)
LAW = Tenant(id="law", sla=SLA)


def fill(engine: Engine, requests: int) -> None:
    """One day of two tenants; one answer in twenty is judged."""
    upgrade(engine)
    rng = np.random.default_rng(0)
    for start in range(0, requests, 5000):
        rows: list[Row] = []
        for number in range(start, min(start + 5000, requests)):
            name, at_s = f"dec_{number}", NOW_S - float(rng.uniform(0, DAY_S))
            rows.append(decision(name, tenant=str(rng.choice(["law", "zoo"])), created_at_s=at_s))
            rows.append(outcome(name, ttft_s=float(rng.random()), latency_s=float(rng.random()), quality=0.7))
            if rng.random() < 0.05:
                rows.append(observation(name))
        insert(engine, rows)


def ours(engine: Engine) -> int:
    """The report."""
    with engine.connect() as connection:
        return report(connection, LAW, windows=24, now_s=NOW_S, lost_s=600.0).requests


def baseline(engine: Engine) -> int:
    """The same figures, counted in Python from what the log's reader gives."""
    windows: dict[int, tuple[list[float], list[float], list[float]]] = {}
    url = engine.url.render_as_string()
    since_s = NOW_S - NOW_S % WINDOW_S - 24 * WINDOW_S
    for record in export(url, since_s=since_s):
        done = record.outcome
        if record.decision.tenant != "law" or done is None or done.ending is not Ending.DONE:
            continue
        ttft_s, latency_s, quality = windows.setdefault(int(record.decision.created_at_s // WINDOW_S), ([], [], []))
        judged = label(record.observations)
        ttft_s.append(done.ttft_s or 0.0)
        latency_s.append(done.latency_s)
        quality.append(judged[0] if judged else done.quality or 0.0)
    for values in windows.values():
        np.percentile(values[0], 95), np.percentile(values[1], 95), np.mean(values[2])
    return sum(len(values[0]) for values in windows.values())


async def measured(work: Callable[[Engine], int], engine: Engine) -> dict[str, float]:
    """One run in a thread beside a running event loop."""
    longest_s, done = 0.0, False

    async def watch() -> None:
        nonlocal longest_s
        while not done:
            began_s = time.perf_counter()
            await asyncio.sleep(0.001)
            longest_s = max(longest_s, time.perf_counter() - began_s - 0.001)

    watching = asyncio.create_task(watch())
    began_s = time.perf_counter()
    found = await asyncio.to_thread(work, engine)
    took_s, done = time.perf_counter() - began_s, True
    await watching
    return {"requests": found, "s": took_s, "longest_pause_s": longest_s}


def peak_bytes(work: Callable[[Engine], int], engine: Engine) -> int:
    """Most memory that Python held at once."""
    tracemalloc.start()
    work(engine)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


async def main(requests: int, rounds: int) -> dict[str, object]:
    """Both, in turns."""
    with tempfile.TemporaryDirectory() as directory:
        engine = open_engine(f"sqlite:///{directory}/bench.db")
        fill(engine, requests)
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "baseline": []}
        for _ in range(rounds):
            runs["ours"].append(await measured(ours, engine))
            runs["baseline"].append(await measured(baseline, engine))
        assert runs["ours"][0]["requests"] == runs["baseline"][0]["requests"]
        peaks = {"ours": peak_bytes(ours, engine), "baseline": peak_bytes(baseline, engine)}
        engine.dispose()
    figures: dict[str, dict[str, float]] = {
        name: {key: statistics.median(run[key] for run in of) for key in of[0]} | {"peak_bytes": peaks[name]}
        for name, of in runs.items()
    }
    ratios = {key: figures["baseline"][key] / figures["ours"][key] for key in ("s", "longest_pause_s", "peak_bytes")}
    return {"machine": platform.machine(), "logged": requests, "rounds": rounds, **figures, "times_better": ratios}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    result = asyncio.run(main(arguments.requests, arguments.rounds))
    text = json.dumps(result, indent=2)
    (ROOT / "benchmarks" / "results" / "sla-report.json").write_text(text + "\n")
    print(text)
