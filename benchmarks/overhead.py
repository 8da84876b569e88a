"""What the gateway adds to a request against the worker directly: one connection, the same prompt, pairs in turn.

A worker of the `quantized` variant and the gateway in front of it run as they do in production; each pair sends one
request straight to the worker's socket and one through the gateway, in random order, asking for one token so that
generation adds little noise. Prints one JSON object: medians, their difference, and the tail.

    .venv/bin/python benchmarks/overhead.py --pairs 300
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import psutil
from serving import BASE_URL, serving_quantized

WARM_UP = 20
BODY = {
    "model": "quantized",
    "messages": [{"role": "user", "content": "What is the capital of Japan?"}],
    "max_tokens": 1,
    "temperature": 0,
}
Call = Callable[[], Awaitable[None]]


async def main(pairs: int, var: Path) -> dict[str, object]:
    """Start a gateway with one variant, time both ways, stop it."""
    async with serving_quantized(var) as gateway:
        connector = aiohttp.UnixConnector(gateway.socket_path)
        async with aiohttp.ClientSession() as session, aiohttp.ClientSession(connector=connector) as direct:
            ways = {
                "direct": _caller(direct, "http://worker/v1/chat/completions"),
                "gateway": _caller(session, f"{BASE_URL}/v1/chat/completions", cache={"mode": "no-store"}),
            }
            times = await _alternate(ways, pairs)
            api_rss_bytes = gateway.api.memory_info().rss
    medians = {name: statistics.median(values) for name, values in times.items()}
    differences = sorted(g - d for g, d in zip(times["gateway"], times["direct"], strict=True))
    return {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": psutil.cpu_count()},
        "pairs": pairs,
        "p50_s": medians,
        "added_p50_s": medians["gateway"] - medians["direct"],
        "added_per_pair_p50_s": statistics.median(differences),
        "added_per_pair_p95_s": differences[int(0.95 * len(differences))],
        "api_rss_bytes": api_rss_bytes,
    }


async def _alternate(ways: dict[str, Call], pairs: int) -> dict[str, list[float]]:
    order = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for pair in range(-WARM_UP, pairs):
        for name in order.sample(sorted(ways), len(ways)):
            began_s = time.perf_counter()
            await ways[name]()
            if pair >= 0:
                times[name].append(time.perf_counter() - began_s)
    return times


def _caller(session: aiohttp.ClientSession, url: str, **more: object) -> Call:
    async def call() -> None:
        async with session.post(url, json=BODY | more) as reply:
            if reply.status != 200:
                raise SystemExit(await reply.text())
            await reply.read()

    return call


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--var", type=Path, default=Path("var"), help="State directory with the built variant.")
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(main(arguments.pairs, arguments.var)), indent=2))
