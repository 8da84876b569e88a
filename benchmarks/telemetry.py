"""What telemetry costs, on against off, and how much of a request's time its stages account for.

One API process over a scripted server is told in turns to report on requests and not to, so that on and off differ in
nothing else: asked by one caller at a time (latency), then by many (throughput, and what the process computes for a
request). `default` is what `trilemma serve` does; `everything` keeps every trace and sends it to a collector of this
script. Timelines are noted in either case. Writes `benchmarks/results/telemetry.json`.

    .venv/bin/python benchmarks/telemetry.py --rounds 40
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from aiohttp import web
from standing import answering, until_ready

from backends.builder.machine import this_machine
from gateway.metrics.overhead import union_s
from gateway.paths import StatePaths
from gateway.server import ApiServer
from gateway.settings import load_settings
from gateway.telemetry.logs import configure_logs

FIRST_PORT = 18110
ALONE, CROWD, CALLERS = 40, 200, 16
SWITCH = {"on": signal.SIGUSR1, "off": signal.SIGUSR2}
BODY = {"messages": [{"role": "user", "content": "What is the capital of Japan?"}], "cache": {"mode": "no-store"}}
SLOWLY = "Think about it."
ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Tokyo."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
}


async def main(rounds: int) -> dict[str, Any]:
    """Start both, measure in turns, stop them."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(answering(_answer))
        sink = await stack.enter_async_context(_collector())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        kinds = {"default": {}, "everything": {"traces": {"sample": 1.0}, "otlp": sink}}
        found: dict[str, Any] = {"machine": this_machine().cpu, "rounds": rounds}
        for number, (kind, telemetry) in enumerate(kinds.items()):
            port = FIRST_PORT + number
            process = await stack.enter_async_context(_gateway(url, telemetry, port))
            found[kind] = await _compared(session, port, process, rounds)
        found["share_of_time_in_stages"] = await _covered(session, port)
    return found


async def _compared(
    session: aiohttp.ClientSession, port: int, process: psutil.Process, rounds: int
) -> dict[str, float | dict[str, float]]:
    """One gateway, told to report and not to report in turns."""
    alone: dict[str, list[float]] = {"on": [], "off": []}
    crowd: dict[str, list[float]] = {"on": [], "off": []}
    computed: dict[str, list[float]] = {"on": [], "off": []}
    for turn in range(-2, rounds):
        for told in random.Random(turn).sample(("on", "off"), 2):
            process.send_signal(SWITCH[told])
            await asyncio.sleep(0.05)
            took_s = await _alone(session, port)
            before_s = _cpu_s(process)
            rate = await _crowd(session, port)
            if turn >= 0:
                alone[told].append(took_s)
                crowd[told].append(rate)
                computed[told].append((_cpu_s(process) - before_s) / CROWD)
    process.send_signal(SWITCH["on"])
    return {
        "p50_s": {told: statistics.median(values) for told, values in alone.items()},
        "added_p50_s": statistics.median(on - off for on, off in zip(alone["on"], alone["off"], strict=True)),
        "requests_per_s": {told: statistics.median(values) for told, values in crowd.items()},
        "throughput_on_relative_to_off": statistics.median(
            on / off for on, off in zip(crowd["on"], crowd["off"], strict=True)
        ),
        "cpu_s_per_request": {told: statistics.fmean(values) for told, values in computed.items()},
        "cpu_on_relative_to_off": statistics.fmean(computed["on"]) / statistics.fmean(computed["off"]),
    }


def _cpu_s(process: psutil.Process) -> float:
    """What it has computed so far, all of its threads."""
    times = process.cpu_times()
    return float(times.user + times.system)


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
async def _gateway(url: str, telemetry: dict[str, Any], port: int) -> AsyncIterator[psutil.Process]:
    """The API process as it is, but for two signals by which its reporters are taken away and given back."""
    price = {"prompt_per_mtok_usd": 1.0, "completion_per_mtok_usd": 2.0}
    stated = {"kind": "remote", "engine": "openai", "quality": 0.5, "ttft_s": 0.01, "tpot_s": 0.001}
    variant = {"name": "v", "source": f"{url}/v1", "price": price, **stated}
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "trilemma.yaml"
        config.write_text(json.dumps({"variants": [variant], "telemetry": telemetry}))
        with (Path(directory) / "log").open("wb") as log:
            command = [sys.executable, __file__, "--serve", str(port), "--directory", directory]
            process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        try:
            await until_ready(f"http://127.0.0.1:{port}")
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            await process.wait()


def serve(port: int, directory: Path) -> None:
    """Be that process."""
    settings = load_settings(directory / "trilemma.yaml")
    handler = configure_logs(settings.telemetry.logs)
    server = ApiServer(settings, StatePaths(root=directory))
    reporters: list[Any] = []

    def switch(number: int, _: object) -> None:
        assert server.services is not None
        telemetry = server.services.telemetry
        reporters[:] = reporters or telemetry._reporters
        telemetry._reporters = tuple(reporters) if number == SWITCH["on"] else ()

    for number in SWITCH.values():
        signal.signal(number, switch)
    server.run(sockets=[socket.create_server(("127.0.0.1", port))])
    handler.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--serve", type=int, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        serve(arguments.serve, arguments.directory)
        raise SystemExit
    result = asyncio.run(main(arguments.rounds))
    text = json.dumps(result, indent=1)
    (Path(__file__).parent / "results" / "telemetry.json").write_text(text + "\n")
    print(text)
