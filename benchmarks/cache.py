"""What an answer given again takes against one that is made, on the same gateway, through HTTP.

Starts `trilemma serve` twice, with answers in memory and in a real Redis, over a provider that answers at once; so
what is measured is the gateway alone, and any real model makes the ratio larger. Requests are sent one after the
other: new ones, which are made; the same ones again; and, with Redis, the same ones once more after this process has
forgotten them. Then 2,000 identical requests at once. Prints one JSON object, and writes it to
benchmarks/results/cache.json.

    .venv/bin/python benchmarks/cache.py --requests 300
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import psutil
from aiohttp import web

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.standing import answering, until_ready  # noqa: E402 - the path comes first
from gateway.caching.redis_store import LOCAL_S  # noqa: E402 - the path comes first
from tests.redis_server import redis_server  # noqa: E402
from tests.serving import free_port  # noqa: E402

PORT = free_port()
URL = f"http://127.0.0.1:{PORT}/v1/chat/completions"
WARM_UP = 50
AT_ONCE = 2000
SLOW_S = 3.0
"""How long the provider takes for the requests that come at once: longer than all of them take to arrive."""

CONFIG = """
variants:
  - {{name: v0, kind: remote, engine: openai, source: "{url}", quality: 0.9, ttft_s: 0.1, tpot_s: 0.01,
     decoding: {{temperature: 0}}, price: {{prompt_per_mtok_usd: 1, completion_per_mtok_usd: 2}}}}
policy: {{epsilon: 0.0}}
training: {{enabled: false, shadow_share: 0.0}}
{cache}
"""
TEXT = "A sentence of some length, as an answer may have it. " * 10


async def main(requests: int) -> dict[str, Any]:
    """Measure both stores."""
    with tempfile.TemporaryDirectory() as directory, redis_server(Path(directory) / "redis") as redis:
        stores = {"memory": "", "redis": f"cache: {{url: '{redis.url}'}}"}
        found = {name: await _store(name, cache, requests) for name, cache in stores.items()}
    return {"cores": os.cpu_count(), "requests": requests} | found


async def _store(name: str, cache: str, requests: int) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        provider = Provider()
        url = await stack.enter_async_context(answering(provider.answer))
        api = await stack.enter_async_context(_gateway(CONFIG.format(url=url, cache=cache)))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        await _timed(session, "warm up", WARM_UP, api=api, expect="miss")
        arms = {"miss": await _timed(session, "measured", requests, api=api, expect="miss")}
        if name == "redis":
            await asyncio.sleep(LOCAL_S + 0.2)
        hit = "hit_in_redis" if name == "redis" else "hit"
        arms[hit] = await _timed(session, "measured", requests, api=api, expect="exact")
        return {
            "latency_s": arms,
            "hit_over_miss_p50": arms[hit]["p50"] / arms["miss"]["p50"],
            "at_once": await _at_once(session, provider),
        }


async def _timed(
    session: aiohttp.ClientSession, what: str, requests: int, *, api: psutil.Process, expect: str
) -> dict[str, float]:
    """How long these requests took, one after the other, and what each cost the API process."""
    took_s, cpu_s = [], _cpu_s(api)
    for number in range(requests):
        began_s = time.perf_counter()
        outcome = await _ask(session, f"{what} {number}")
        took_s.append(time.perf_counter() - began_s)
        assert outcome == expect, outcome
    spread = {f"p{level:g}": float(np.percentile(took_s, level)) for level in (50, 95, 99)}
    return spread | {"api_cpu": (_cpu_s(api) - cpu_s) / requests}


def _cpu_s(api: psutil.Process) -> float:
    times = api.cpu_times()
    return float(times.user + times.system)


async def _at_once(session: aiohttp.ClientSession, provider: Provider) -> dict[str, Any]:
    provider.delay_s, before, began_s = SLOW_S, provider.generations, time.perf_counter()
    outcomes = await asyncio.gather(*(_ask(session, "all at once") for _ in range(AT_ONCE)))
    return {
        "requests": AT_ONCE,
        "generations": provider.generations - before,
        "outcomes": Counter(outcomes),
        "all_answered_after_s": time.perf_counter() - began_s,
        "generation_s": SLOW_S,
    }


async def _ask(session: aiohttp.ClientSession, text: str) -> str:
    """What the cache did."""
    async with session.post(URL, json={"messages": [{"role": "user", "content": text}]}) as reply:
        body = await reply.read()
        assert reply.status == 200, body
        return reply.headers["X-Trilemma-Cache"]


class Provider:
    """A server that answers at once, unless told to take its time."""

    def __init__(self) -> None:
        self.generations = 0
        self.delay_s = 0.0

    async def answer(self, _: web.Request) -> web.Response:
        """To any request."""
        self.generations += 1
        await asyncio.sleep(self.delay_s)
        choice = {"index": 0, "message": {"role": "assistant", "content": TEXT}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 110, "total_tokens": 119}
        return web.json_response({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})


@asynccontextmanager
async def _gateway(config: str) -> AsyncIterator[psutil.Process]:
    """A gateway of its own; its API process."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "trilemma.yaml"
        file.write_text(config)
        options = ("--config", str(file), "--var", directory, "serve", "--port", str(PORT))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", *options, cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await until_ready(f"http://127.0.0.1:{PORT}")
            children = psutil.Process(process.pid).children(recursive=True)
            yield next(child for child in children if "gateway.server" in " ".join(child.cmdline()))
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300)
    measured = json.dumps(asyncio.run(main(parser.parse_args().requests)), indent=2)
    (ROOT / "benchmarks" / "results" / "cache.json").write_text(measured + "\n")
    print(measured)
