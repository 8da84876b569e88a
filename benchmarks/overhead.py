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
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import psutil

from backends.supervisor.control import ControlClient
from gateway.paths import StatePaths
from gateway.settings import default_text

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
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "trilemma.yaml"
        config.write_text(_only_quantized(default_text()))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.cli",
            "--config",
            str(config),
            "--var",
            str(var),
            "serve",
            "--port",
            "18080",
        )
        try:
            await _until_ready("http://127.0.0.1:18080/readyz")
            return await _compare("http://127.0.0.1:18080", pairs, var, _api_process(process.pid))
        finally:
            process.terminate()
            await process.wait()


async def _compare(base_url: str, pairs: int, var: Path, api: psutil.Process) -> dict[str, object]:
    control = ControlClient(StatePaths(root=var).control_socket)
    socket_path = next(status.socket_path for status in await control.variants() if status.name == "quantized")
    await control.aclose()
    connector = aiohttp.UnixConnector(str(socket_path))
    async with aiohttp.ClientSession() as session, aiohttp.ClientSession(connector=connector) as direct:
        ways = {
            "direct": _caller(direct, "http://worker/v1/chat/completions"),
            "gateway": _caller(session, f"{base_url}/v1/chat/completions"),
        }
        times = await _alternate(ways, pairs)
    medians = {name: statistics.median(values) for name, values in times.items()}
    differences = sorted(g - d for g, d in zip(times["gateway"], times["direct"], strict=True))
    return {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": psutil.cpu_count()},
        "pairs": pairs,
        "p50_s": medians,
        "added_p50_s": medians["gateway"] - medians["direct"],
        "added_per_pair_p50_s": statistics.median(differences),
        "added_per_pair_p95_s": differences[int(0.95 * len(differences))],
        "api_rss_bytes": api.memory_info().rss,
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


def _caller(session: aiohttp.ClientSession, url: str) -> Call:
    async def call() -> None:
        async with session.post(url, json=BODY) as reply:
            if reply.status != 200:
                raise SystemExit(await reply.text())
            await reply.read()

    return call


async def _until_ready(url: str) -> None:
    deadline_s = time.monotonic() + 300
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline_s:
            try:
                async with session.get(url) as reply:
                    if (await reply.json())["variants"]["quantized"]["state"] == "warm":
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    raise SystemExit("the gateway did not become ready")


def _api_process(supervisor_pid: int) -> psutil.Process:
    children = psutil.Process(supervisor_pid).children(recursive=True)
    return next(child for child in children if "gateway.server" in " ".join(child.cmdline()))


def _only_quantized(text: str) -> str:
    """The default configuration with its first variant alone."""
    head, rest = text.split("  - name: full", 1)
    return head + "\n" + rest[rest.index("build:") :]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--var", type=Path, default=Path("var"), help="State directory with the built variant.")
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(main(arguments.pairs, arguments.var)), indent=2))
