"""What requests notice when Redis freezes, dies, answers after 2 s, forgets everything or is full.

Two gateways, each with its cache, quotas and live load in a real Redis of its own, answer a tenant's requests in turn
at a fixed rate, each with a prompt of its own, from a provider that takes 20 ms. After some seconds one Redis breaks,
after some more it is whole again; the other gateway sees the same seconds of the same machine. What is added is the
difference of the two once the breaker has had a second to open.
Prints one JSON object, and writes it to benchmarks/results/redis-faults.json.

    .venv/bin/python -m benchmarks.redis_faults --seconds 15
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from benchmarks.hedge import ROOT, VARIANT
from benchmarks.standing import until_ready
from tests.providers import Answer, ScriptedProvider, completion_body
from tests.redis_server import RedisServer, redis_server, slow_way

PORTS = {"broken": 18083, "whole": 18084}
"""Of the gateway whose Redis breaks, and of the other."""

RATE_PER_S = 50.0
PROVIDER_S = 0.02
WARM_UP_S = 8.0
OPENS_WITHIN_S = 1.0
MENDS_WITHIN_S = 6.0
SLOW_S = 2.0
CONFIG = "variants:{variant}\ncache: {{url: '{url}'}}\ntraining: {{enabled: false}}\npolicy: {{epsilon: 0.0}}\n"
QUOTAS = ("quotas.requests_per_min=1000000", "quotas.tokens_per_min=1000000000", "quotas.concurrent=1000")

Fault = Callable[[RedisServer, "Lag"], None]
Reply = tuple[float, int]
"""Seconds, and the status."""


class Lag:
    """How late the answers of Redis are."""

    now_s = 0.0

    def set(self, now_s: float) -> None:
        """From now on."""
        self.now_s = now_s


FAULTS: dict[str, tuple[Fault, Fault]] = {
    "frozen": (lambda redis, _: redis.freeze(), lambda redis, _: redis.thaw()),
    "dead": (lambda redis, _: redis.kill(), lambda redis, _: redis.restart()),
    "slow": (lambda _, lag: lag.set(SLOW_S), lambda _, lag: lag.set(0.0)),
    "flushed": (lambda redis, _: redis.flush(), lambda redis, _: redis.flush()),
    "full": (lambda redis, _: redis.fill(), lambda redis, _: redis.empty()),
}


async def main(seconds: float) -> dict[str, Any]:
    """Every fault in turn, each on gateways and servers of its own."""
    found = {name: await _under(breaks, mends, seconds) for name, (breaks, mends) in FAULTS.items()}
    return {
        "cores": os.cpu_count(),
        "rate_per_s": RATE_PER_S,
        "provider_s": PROVIDER_S,
        "faults": found,
        "failed": sum(fault["failed"] for fault in found.values()),
        "most_p99_added_s": max(fault["added_s"]["p99"] for fault in found.values()),
        "p99_added_s_allowed": 0.02,
    }


async def _under(breaks: Fault, mends: Fault, seconds: float) -> dict[str, Any]:
    """One fault: latencies of both gateways before it, while the breaker opens, once it is open, and afterwards."""
    lag, keys = Lag(), dict[str, str]()
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        answer = Answer(body=completion_body("Paris"), first_after_s=PROVIDER_S)
        provider = await stack.enter_async_context(ScriptedProvider(answer))
        servers = {arm: stack.enter_context(redis_server(directory / f"redis-{arm}")) for arm in PORTS}
        for arm, server in servers.items():
            url = server.url
            if breaks is FAULTS["slow"][0]:  # The way itself takes some time, for both alike.
                late = (lambda: lag.now_s) if arm == "broken" else 0.0
                url = await stack.enter_async_context(slow_way(server, answers_after_s=late))
            keys[arm] = await stack.enter_async_context(_gateway(directory / arm, PORTS[arm], url, provider))
        load = partial(_load, await stack.enter_async_context(aiohttp.ClientSession()), keys)
        await load(WARM_UP_S)
        phases = {"before": await load(seconds / 3)}
        await asyncio.to_thread(breaks, servers["broken"], lag)
        phases |= {"opening": await load(OPENS_WITHIN_S), "open": await load(seconds)}
        await asyncio.to_thread(mends, servers["broken"], lag)
        phases |= {"mending": await load(MENDS_WITHIN_S), "after": await load(seconds / 3)}
    spreads = {name: {arm: _spread(answers) for arm, answers in arms.items()} for name, arms in phases.items()}
    added = {level: spreads["open"]["broken"][level] - spreads["open"]["whole"][level] for level in ("p50", "p99")}
    return {
        "failed": sum(
            status != 200 for arms in phases.values() for answers in arms.values() for _, status in answers
        ),
        "requests": sum(len(answers) for arms in phases.values() for answers in arms.values()),
        "latency_s": spreads,
        "added_s": added,
    }


async def _load(session: aiohttp.ClientSession, keys: dict[str, str], seconds: float) -> dict[str, list[Reply]]:
    """What both gateways reply, asked in turn at the fixed rate."""
    began_s, asking = time.perf_counter(), dict[asyncio.Task[Reply], str]()
    for number in range(int(seconds * RATE_PER_S)):
        await asyncio.sleep(max(0.0, began_s + number / RATE_PER_S - time.perf_counter()))
        arm = list(PORTS)[number % 2]
        asking[asyncio.create_task(_ask(session, PORTS[arm], keys[arm]))] = arm
    await asyncio.gather(*asking)
    return {arm: [task.result() for task, asked in asking.items() if asked == arm] for arm in PORTS}


async def _ask(session: aiohttp.ClientSession, port: int, key: str) -> Reply:
    body = {"messages": [{"role": "user", "content": os.urandom(8).hex()}], "max_tokens": 16, "temperature": 0}
    url, headers = f"http://127.0.0.1:{port}/v1/chat/completions", {"Authorization": f"Bearer {key}"}
    began_s = time.perf_counter()
    async with session.post(url, json=body | {"model": "auto"}, headers=headers) as reply:
        await reply.read()
        return time.perf_counter() - began_s, reply.status


def _spread(answers: list[Reply]) -> dict[str, float]:
    taken = [took_s for took_s, _ in answers]
    return {f"p{level:g}": round(float(np.percentile(taken, level)), 4) for level in (50, 95, 99, 100)}


@asynccontextmanager
async def _gateway(directory: Path, port: int, url: str, provider: ScriptedProvider) -> AsyncIterator[str]:
    """`trilemma serve` in front of the provider; the key of its one tenant."""
    await asyncio.to_thread(directory.mkdir)
    config = directory / "trilemma.yaml"
    variant = VARIANT.format(name="first", url=provider.base_url, quality=0.9)
    config.write_text(CONFIG.format(variant=variant, url=url))
    command = [sys.executable, "-m", "gateway.cli", "--config", str(config), "--var", str(directory)]
    added = await asyncio.to_thread(
        subprocess.run,
        [*command, "tenants", "add", "shop", *QUOTAS, "--json"],
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    process = await asyncio.create_subprocess_exec(*command, "serve", "--port", str(port), cwd=ROOT)
    try:
        await until_ready(f"http://127.0.0.1:{port}")
        yield json.loads(added.stdout)["key"]["text"]
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15.0)
    found = json.dumps(asyncio.run(main(parser.parse_args().seconds)), indent=2)
    (ROOT / "benchmarks" / "results" / "redis-faults.json").write_text(found + "\n")
    print(found)
