"""What a duplicate of slow requests does for the tail: with and without, in turn, on two providers with a slow tail.

Both providers answer after a log-normal time, and a few per cent of their answers take 1.5 s more. A gateway routes
to the better one; requests with the tag `arm: hedge` fall under a rule that allows duplicates, those with the tag
`arm: plain` do not. The arms alternate at a fixed rate, so that they see the same minutes of the same machine. Prints
one JSON object, and writes it to benchmarks/results/hedge.json.

    .venv/bin/python benchmarks/hedge.py --seconds 40
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
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web

from benchmarks.standing import answering, until_ready

ROOT = Path(__file__).parents[1]
PORT = 18081
RATE_PER_S = 40.0
MEDIAN_S, SPREAD = 0.08, 0.25
SLOW_SHARE, SLOW_S = 0.03, 1.5
MAX_SHARE = 0.05
VARIANT = """
  - {{name: {name}, kind: remote, engine: openai, source: "{url}", quality: {quality}, ttft_s: 0.08, tpot_s: 0.0001,
     max_running: 1000, price: {{prompt_per_mtok_usd: 1.0, completion_per_mtok_usd: 1.0}}}}"""
CONFIG = "variants:{variants}\ncache: {{exact: false}}\ntraining: {{enabled: false}}\n"
POLICY = f"""
schema_version: 1
name: hedge
rules:
  - {{name: hedge, match: {{tags: {{arm: [hedge]}}}}, then: {{hedge: true, weights: {{accuracy: 1}}}}}}
  - {{name: plain, then: {{weights: {{accuracy: 1}}}}}}
hedge: {{after_quantile: 0.95, max_share: {MAX_SHARE}}}
exploration: {{epsilon: 0.0}}
fallback: [first, second]
"""
REPLY = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}


async def main(seconds: float) -> dict[str, Any]:
    """Run both arms, and tell how their latencies are spread and how much was sent twice."""
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(_provider(seed)) for seed in (1, 2)]
        await stack.enter_async_context(_gateway(urls))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        await _ask(session, "plain")
        began_s, asking = time.perf_counter(), []
        for number in range(int(seconds * RATE_PER_S)):
            await asyncio.sleep(max(0.0, began_s + number / RATE_PER_S - time.perf_counter()))
            asking.append(asyncio.create_task(_ask(session, ("plain", "hedge")[number % 2])))
        answers = await asyncio.gather(*asking)
    arms = {arm: _spread([took_s for name, took_s, _ in answers if name == arm]) for arm in ("plain", "hedge")}
    duplicates = sum(attempts - 1 for _, _, attempts in answers)
    return {
        "cores": os.cpu_count(),
        "requests": len(answers),
        "rate_per_s": RATE_PER_S,
        "provider": {"median_s": MEDIAN_S, "sigma": SPREAD, "slow_share": SLOW_SHARE, "slow_s": SLOW_S},
        "latency_s": arms,
        "hedged_over_plain": {name: arms["hedge"][name] / arms["plain"][name] for name in arms["plain"]},
        "duplicates": duplicates,
        "duplicates_share": duplicates / len(answers),
        "duplicates_share_allowed": MAX_SHARE,
    }


async def _ask(session: aiohttp.ClientSession, arm: str) -> tuple[str, float, int]:
    """The arm, the seconds its answer took, and the attempts behind it."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "metadata": {"arm": arm}}
    began_s = time.perf_counter()
    async with session.post(f"http://127.0.0.1:{PORT}/v1/chat/completions", json=body) as reply:
        text = await reply.text()
        assert reply.status == 200, text
        return arm, time.perf_counter() - began_s, int(reply.headers["x-trilemma-attempts"])


def _spread(values: list[float]) -> dict[str, float]:
    return {f"p{level:g}": float(np.percentile(values, level)) for level in (50, 90, 95, 99, 99.5)}


@asynccontextmanager
async def _provider(seed: int) -> AsyncIterator[str]:
    """A server whose answers take a log-normal time, some of them much more."""
    rng = np.random.default_rng(seed)

    async def answer(_: web.Request) -> web.Response:
        slow_s = SLOW_S if rng.random() < SLOW_SHARE else 0.0
        await asyncio.sleep(MEDIAN_S * float(rng.lognormal(sigma=SPREAD)) + slow_s)
        return web.json_response(REPLY)

    async with answering(answer) as url:
        yield url


@asynccontextmanager
async def _gateway(urls: list[str]) -> AsyncIterator[None]:
    """`trilemma serve` over the providers, with the policy published before it starts."""
    with tempfile.TemporaryDirectory() as directory:
        config, policy = Path(directory) / "trilemma.yaml", Path(directory) / "policy.yaml"
        named = zip(("first", "second"), urls, (0.9, 0.8), strict=True)
        config.write_text(
            CONFIG.format(variants="".join(VARIANT.format(name=n, url=u, quality=q) for n, u, q in named))
        )
        policy.write_text(POLICY)
        command = [sys.executable, "-m", "gateway.cli", "--config", str(config), "--var", directory]
        publish = [*command, "policy", "publish", str(policy), "--reason", "benchmark"]
        await asyncio.to_thread(subprocess.run, publish, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        process = await asyncio.create_subprocess_exec(
            *command, "serve", "--port", str(PORT), cwd=ROOT, stderr=subprocess.DEVNULL
        )
        try:
            await until_ready(f"http://127.0.0.1:{PORT}")
            yield
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=40.0)
    found = json.dumps(asyncio.run(main(parser.parse_args().seconds)), indent=2)
    (ROOT / "benchmarks" / "results" / "hedge.json").write_text(found + "\n")
    print(found)
