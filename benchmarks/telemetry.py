"""What telemetry costs, on against off, and how much of a request's time its stages account for.

Gateways over one scripted server, as real processes, take turns: one asked by one caller at a time (latency), then by
many (throughput). `default` is what `trilemma serve` does; `everything` keeps every trace and sends it to a collector
of this script. Writes `benchmarks/results/telemetry.json`.

    .venv/bin/python benchmarks/telemetry.py --rounds 8
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from standing import answering, until_ready

from backends.builder.machine import this_machine
from gateway.metrics.overhead import union_s

FIRST_PORT = 18110
ALONE, CROWD, CALLERS = 150, 600, 16
OFF = {"traces": {"enabled": False}, "metrics": False, "request_log": "none"}
BODY = {"messages": [{"role": "user", "content": "What is the capital of Japan?"}], "cache": {"mode": "no-store"}}
SLOWLY = "Think about it."
ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Tokyo."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}


async def main(rounds: int) -> dict[str, Any]:
    """Start all of them, measure in turns, stop them."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(answering(_answer))
        sink = await stack.enter_async_context(_collector())
        kinds = {"off": OFF, "default": {}, "everything": {"traces": {"sample": 1.0}, "otlp": sink}}
        ports = {kind: FIRST_PORT + number for number, kind in enumerate(kinds)}
        for kind, telemetry in kinds.items():
            await stack.enter_async_context(_gateway(url, telemetry, ports[kind]))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        alone: dict[str, list[float]] = {kind: [] for kind in kinds}
        crowd: dict[str, list[float]] = {kind: [] for kind in kinds}
        for turn in range(-1, rounds):
            order = list(kinds)
            random.Random(turn).shuffle(order)
            for kind in order:
                took = await _alone(session, ports[kind])
                rate = await _crowd(session, ports[kind])
                if turn >= 0:
                    alone[kind].append(took)
                    crowd[kind].append(rate)
        covered = await _covered(session, ports["everything"])
    p50_s = {kind: statistics.median(values) for kind, values in alone.items()}
    rps = {kind: statistics.median(values) for kind, values in crowd.items()}
    return {
        "machine": this_machine().cpu,
        "rounds": rounds,
        "p50_s": p50_s,
        "requests_per_s": rps,
        "added_p50_s": {kind: p50_s[kind] - p50_s["off"] for kind in ("default", "everything")},
        "throughput_relative_to_off": {
            kind: statistics.median(a / b for a, b in zip(crowd[kind], crowd["off"], strict=True))
            for kind in ("default", "everything")
        },
        "share_of_time_in_stages": covered,
    }


async def _alone(session: aiohttp.ClientSession, port: int) -> float:
    times = []
    for _ in range(ALONE):
        began_s = time.perf_counter()
        await _ask(session, port, BODY)
        times.append(time.perf_counter() - began_s)
    return statistics.median(times)


async def _crowd(session: aiohttp.ClientSession, port: int) -> float:
    left = iter(range(CROWD))
    began_s = time.perf_counter()

    async def caller() -> None:
        for _ in left:
            await _ask(session, port, BODY)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return CROWD / (time.perf_counter() - began_s)


async def _ask(session: aiohttp.ClientSession, port: int, body: dict[str, Any]) -> None:
    async with session.post(f"http://127.0.0.1:{port}/v1/chat/completions", json=body) as reply:
        await reply.read()
        if reply.status != 200:
            raise SystemExit(f"the gateway answered {reply.status}")


async def _covered(session: aiohttp.ClientSession, port: int) -> dict[str, float]:
    """Of kept traces, the median share of the request's time that lies in some stage; by how it was answered."""
    slow = BODY | {"messages": [{"role": "user", "content": SLOWLY}]}
    hit = {key: value for key, value in BODY.items() if key != "cache"}
    kinds = {"answer_of_50_ms": slow, "instant_answer": BODY, "cache_hit": hit}
    found = {}
    for kind, body in kinds.items():
        since_s = time.time()
        for _ in range(60):
            await _ask(session, port, body | {"temperature": 0})
        await asyncio.sleep(1.5)
        found[kind] = await _shares(session, port, since_s)
    return found


async def _shares(session: aiohttp.ClientSession, port: int, since_s: float) -> float:
    base = f"http://127.0.0.1:{port}/admin/v1/traces"
    async with session.get(f"{base}?since_s={since_s}&limit=50") as reply:
        listed = (await reply.json())["data"]
    shares = []
    for row in listed:
        async with session.get(f"{base}/{row['span_id']}") as reply:
            root, *spans = (await reply.json())["spans"]
        parts = [
            (span["began_s"], span["began_s"] + span["duration_s"])
            for span in spans
            if span.get("parent_id") == root["span_id"]
        ]
        shares.append(union_s(parts) / root["duration_s"])
    return statistics.median(shares)


async def _answer(request: web.Request) -> web.Response:
    if SLOWLY.encode() in await request.read():
        await asyncio.sleep(0.05)
    return web.json_response(ANSWER)


@asynccontextmanager
async def _collector() -> AsyncIterator[dict[str, Any]]:
    """Takes whatever comes."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield {"endpoint": f"http://127.0.0.1:{runner.addresses[0][1]}", "protocol": "http"}
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _gateway(url: str, telemetry: dict[str, Any], port: int) -> AsyncIterator[None]:
    price = {"prompt_per_mtok_usd": 1.0, "completion_per_mtok_usd": 2.0}
    stated = {"kind": "remote", "engine": "openai", "quality": 0.5, "ttft_s": 0.01, "tpot_s": 0.001}
    variant = {"name": "v", "source": f"{url}/v1", "price": price, **stated}
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "trilemma.yaml"
        config.write_text(json.dumps({"variants": [variant], "telemetry": telemetry, "training": {"enabled": False}}))
        options = ("--config", str(config), "--var", directory)
        with (Path(directory) / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "gateway.cli", *options, "serve", "--port", str(port), stdout=log, stderr=log
            )
        try:
            await until_ready(f"http://127.0.0.1:{port}")
            yield
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    result = asyncio.run(main(parser.parse_args().rounds))
    text = json.dumps(result, indent=1)
    (Path(__file__).parent / "results" / "telemetry.json").write_text(text + "\n")
    print(text)
