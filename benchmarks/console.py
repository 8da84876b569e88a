"""What the pages of slow requests take, as a browser waits for them, with few and with many traces stored.

A real gateway over HTTP on the loopback and an SQLite file that was filled beforehand; each trace has its decision
and its outcome. Every page is asked for in turns, each time another request or another filter, so that nothing is
asked twice. Writes `benchmarks/results/console.json`.

    .venv/bin/python benchmarks/console.py --traces 100000
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
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import sqlalchemy as sa

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from gateway.decisions.migrate import upgrade  # noqa: E402
from gateway.decisions.schema import open_engine  # noqa: E402
from gateway.decisions.write import insert  # noqa: E402
from gateway.paths import StatePaths  # noqa: E402
from gateway.settings import Settings  # noqa: E402
from gateway.traces.table import columns_of, traces  # noqa: E402
from tests.decision_rows import decision, outcome  # noqa: E402
from tests.gateways import RunningGateway, local, running  # noqa: E402
from tests.trace_rows import trace, waited  # noqa: E402

STAGES = ("queue", "load", "generate", "redis", "first_token")
TENANTS = ("law", "zoo", "lab", "bank")
VARIANTS = ("full", "quantized", "distilled")
DAY_S, TARGET_S = 86_400.0, 0.3


def fill(directory: Path, count: int) -> None:
    """A day of traces, with the decisions and outcomes they belong to."""
    settings = msgspec.convert({"variants": [local(name) for name in VARIANTS]}, Settings)
    engine = open_engine(StatePaths(root=directory).database_url(settings))
    upgrade(engine)
    rng, now_s = np.random.default_rng(0), time.time()
    for start in range(0, count, 5000):
        rows, columns = [], []
        for number in range(start, min(start + 5000, count)):
            duration_s, at_s = float(rng.lognormal(1, 1)), now_s - float(rng.uniform(0, DAY_S))
            made = trace(
                number,
                duration_s=duration_s,
                started_at_s=at_s,
                tenant=str(rng.choice(TENANTS)),
                variant=str(rng.choice(VARIANTS)),
                stage=str(rng.choice(STAGES)),
                kept=str(rng.choice(["slow", "failed", "escalated", "sampled"])),
                spans=waited(duration_s),
            )
            columns.append(columns_of(made))
            rows += [decision(f"dec_{number}", created_at_s=at_s), outcome(f"dec_{number}", latency_s=duration_s)]
        with engine.begin() as connection:
            connection.execute(sa.insert(traces), columns)
        insert(engine, rows)
    engine.dispose()


def pages(count: int) -> dict[str, Iterator[str]]:
    """Addresses of each kind of page, always further ones."""
    rng = np.random.default_rng(1)

    def some(*options: str) -> Iterator[str]:
        while True:
            yield str(rng.choice(options))

    def request() -> Iterator[str]:
        while True:
            yield f"/console/requests/{int(rng.integers(count)):016x}"

    narrowed = [
        f"/console/requests?tenant={t}&stage={s}&min_s={m}" for t in TENANTS for s in STAGES for m in (1, 2, 5)
    ]
    return {
        "request page": request(),
        "list": some("/console/requests?window=24h", "/console/requests?window=all"),
        "list, narrowed": some(*narrowed),
        "list, slowest first": some("/console/requests?order=slowest", "/console/requests?order=slowest&tenant=law"),
    }


async def measured(gateway: RunningGateway, count: int, times: int) -> dict[str, dict[str, float]]:
    """Seconds that each kind of page takes, from the request to its last byte."""
    found: dict[str, list[float]] = {}
    addresses = pages(count)
    for _ in range(times):
        for kind, urls in addresses.items():
            began_s = time.perf_counter()
            async with gateway.session.get(gateway.url + next(urls), headers={"Accept": "text/html"}) as response:
                assert response.status == 200, await response.text()
                await response.read()
            found.setdefault(kind, []).append(time.perf_counter() - began_s)
    return {
        kind: {
            "p50_s": round(statistics.median(took), 4),
            "p95_s": round(float(np.quantile(took, 0.95)), 4),
            "longest_s": round(max(took), 4),
        }
        for kind, took in found.items()
    }


async def run(count: int, times: int) -> dict[str, dict[str, float]]:
    """All pages with so many traces stored."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        fill(root, count)
        async with running(root, *(local(name) for name in VARIANTS)) as gateway:
            return await measured(gateway, count, times)


def main() -> None:
    """Run, print, write down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/console.json")
    arguments = parser.parse_args()
    few, many = (asyncio.run(run(count, arguments.times)) for count in (1000, arguments.traces))
    for kind, figures in many.items():
        ratio = figures["p50_s"] / few[kind]["p50_s"]
        print(
            f"{kind:22} p50 {figures['p50_s'] * 1000:6.1f} ms  p95 {figures['p95_s'] * 1000:6.1f} ms"
            f"  ({ratio:.1f} times that with 1,000 traces)"
        )
    within = many["request page"]["p95_s"] <= TARGET_S
    print(f"request page within {TARGET_S * 1000:.0f} ms: {'yes' if within else 'no'}")
    result = {"traces": arguments.traces, "cpu": platform.processor(), "with_1000": few, "with_all": many}
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
