"""What one tenant's flood does to the others: alone, beside a flood of another tenant, and in the flood's own queue.

A provider that does four things at a time stands behind a gateway whose variant has as many places. Four tenants
send at a steady rate: first each for itself, then all of them while a fifth sends fifty times as much, far more than
there is room for; and last all with the key of the fifth, which is what a queue that knows no tenants would do to
them.

Twice: with answers whose times vary as those of a language model do, and with answers that all take the same. Nothing
is interrupted, so a request waits at least until the first of the four places is free. Where all answers take the
same and the flood's began together, that alone is up to a whole answer's time: a ratio near 2 that no order of the
queue can lower. Prints one JSON object, and writes it to benchmarks/results/fair-share.json.

    .venv/bin/python benchmarks/fair_share.py --seconds 50
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web

from benchmarks.standing import answering, until_ready

ROOT = Path(__file__).parents[1]
PLACES, SERVICE_S = 4, 0.2
SPREADS = {"varied": 0.5, "fixed": 0.0}
"""Standard deviation of the logarithm of an answer's seconds."""
SHORT = 0.3
"""Of the time, for what does not vary, and for what is far from the target."""
RATE_PER_S, FLOOD = 1.5, 50
QUEUED = 200
TARGET = 1.5
TENANTS, OTHERS = ("a", "b", "c", "d"), "all four"
CONFIG = """
variants:
  - {{name: limited, kind: remote, engine: openai, source: "{url}", quality: 0.5, ttft_s: {service_s}, tpot_s: 0.0001,
     max_running: {places}, price: {{prompt_per_mtok_usd: 1.0, completion_per_mtok_usd: 1.0}}}}
admission: {{max_queued: {queued}}}
cache: {{exact: false}}
training: {{enabled: false}}
"""
REPLY = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}

Answers = dict[str, list[tuple[int, float]]]
"""By tenant: status and seconds."""


class Client:
    """Sends requests at set moments, whatever becomes of those before."""

    def __init__(self, session: aiohttp.ClientSession, url: str, keys: Mapping[str, str]) -> None:
        self._session = session
        self._url = url
        self._keys = keys

    async def load(self, rates: Mapping[str, float], seconds: float, *, all_as: str | None = None) -> Answers:
        """Tenants at these rates, for so long, with their own keys or all with one."""
        answers: Answers = {name: [] for name in rates}
        rng = np.random.default_rng(7)
        moments = sorted(
            (float(at_s), name)
            for name, rate in rates.items()
            for at_s in rng.uniform(0, seconds, size=round(rate * seconds))
        )
        began_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for at_s, name in moments:
                await asyncio.sleep(max(0.0, began_s + at_s - time.perf_counter()))
                group.create_task(self._ask(all_as or name, answers[name]))
        return answers

    async def _ask(self, name: str, answers: list[tuple[int, float]]) -> None:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"Authorization": f"Bearer {self._keys[name]}"}
        began_s = time.perf_counter()
        async with self._session.post(f"{self._url}/v1/chat/completions", json=body, headers=headers) as reply:
            await reply.read()
            answers.append((reply.status, time.perf_counter() - began_s))


async def main(seconds: float) -> dict[str, Any]:
    """Both kinds of answers."""
    return {
        "cores": os.cpu_count(),
        "provider": {"places": PLACES, "median_s": SERVICE_S},
        "rate_per_s": RATE_PER_S,
        "flood_rate_per_s": RATE_PER_S * FLOOD,
        "target_ratio": TARGET,
        "answers": {
            name: await compare(spread, seconds if spread else SHORT * seconds) for name, spread in SPREADS.items()
        },
    }


async def compare(spread: float, seconds: float) -> dict[str, Any]:
    """Run the three loads."""
    steady, flood = dict.fromkeys(TENANTS, RATE_PER_S), {"flood": RATE_PER_S * FLOOD}
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(_provider(spread))
        url, keys = await stack.enter_async_context(_gateway(provider))
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        client = Client(session, url, keys)
        await client.load(steady, 2.0)
        solo: Answers = {}
        for name in TENANTS:
            solo |= await client.load({name: RATE_PER_S}, seconds)
        beside = await client.load(steady | flood, seconds)
        await asyncio.sleep(1.0)
        mixed = await client.load(steady | flood, SHORT * seconds, all_as="flood")
    p95_s = {"solo": _p95_s(solo), "beside_flood": _p95_s(beside), "without_tenants": _p95_s(mixed)}
    loads = ("beside_flood", "without_tenants")
    ratios = {load: {name: p95_s[load][name] / p95_s["solo"][name] for name in (*TENANTS, OTHERS)} for load in loads}
    return {
        "spread": spread,
        "seconds": seconds,
        "p95_s": p95_s,
        "over_solo": ratios,
        "statuses": {
            load: {name: dict(Counter(str(status) for status, _ in each)) for name, each in answers.items()}
            for load, answers in (("solo", solo), ("beside_flood", beside), ("without_tenants", mixed))
        },
        "target_met": ratios["beside_flood"][OTHERS] <= TARGET,
        "target_met_by_each": max(ratios["beside_flood"].values()) <= TARGET,
    }


def _p95_s(answers: Answers) -> dict[str, float]:
    """Of those that were answered; the statuses tell how many were not."""
    every = {**answers, OTHERS: [one for name in TENANTS for one in answers[name]]}
    answered = {name: [took_s for status, took_s in each if status == 200] for name, each in every.items()}
    return {name: float(np.percentile(each, 95)) if each else float("inf") for name, each in answered.items()}


@asynccontextmanager
async def _provider(spread: float) -> AsyncIterator[str]:
    """A server with so many places, which makes further requests wait."""
    places, rng = asyncio.Semaphore(PLACES), np.random.default_rng(3)

    async def answer(_: web.Request) -> web.Response:
        async with places:
            await asyncio.sleep(SERVICE_S * float(rng.lognormal(sigma=spread)))
        return web.json_response(REPLY)

    async with answering(answer) as url:
        yield url


@asynccontextmanager
async def _gateway(provider: str) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """`trilemma serve` with its tenants; its address and a key for each."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "trilemma.yaml"
        config.write_text(CONFIG.format(url=provider, service_s=SERVICE_S, places=PLACES, queued=QUEUED))
        command = [sys.executable, "-m", "gateway.cli", "--config", str(config), "--var", directory]
        keys = {name: await asyncio.to_thread(_add_tenant, command, name) for name in (*TENANTS, "flood")}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        serve = [*command, "serve", "--port", str(port)]
        process = await asyncio.create_subprocess_exec(*serve, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            await until_ready(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}", keys
        finally:
            process.terminate()
            await process.wait()


def _add_tenant(command: list[str], name: str) -> str:
    added = subprocess.run([*command, "tenants", "add", name, "--json"], check=True, cwd=ROOT, stdout=subprocess.PIPE)
    return str(json.loads(added.stdout)["key"]["text"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=50.0, help="Of each load.")
    parser.add_argument("--no-write", action="store_true", help="Print only.")
    arguments = parser.parse_args()
    found = json.dumps(asyncio.run(main(arguments.seconds)), indent=2)
    if not arguments.no_write:
        (ROOT / "benchmarks" / "results" / "fair-share.json").write_text(found + "\n")
    print(found)
