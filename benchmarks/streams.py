"""Many streams at once on one variant: whether all end right, how evenly they are served, how free the loops stay.

Starts a gateway with the `quantized` variant, opens the streams together through it, and meanwhile asks the API
process and the worker every few milliseconds whether they live. Nothing of that waits for a model, so the slowest
answer bounds how long an event loop was held. Prints one JSON object.

    .venv/bin/python benchmarks/streams.py --streams 32
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from serving import BASE_URL, serving_quantized

PROBE_EVERY_S = 0.005
MAX_TOKENS = 64


async def main(streams: int, var: Path) -> dict[str, object]:
    """Run the streams and the probes, and tell what both saw."""
    async with serving_quantized(var) as gateway:
        connector = aiohttp.UnixConnector(gateway.socket_path)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            aiohttp.ClientSession(connector=connector) as worker,
        ):
            probes = [
                asyncio.create_task(_probe(session, f"{BASE_URL}/livez")),
                asyncio.create_task(_probe(worker, "http://worker/healthz")),
            ]
            began_s = time.perf_counter()
            ended = await asyncio.gather(*(_stream(session, index) for index in range(streams)))
            took_s = time.perf_counter() - began_s
            for probe in probes:
                probe.cancel()
            api, engine_host = await asyncio.gather(*probes)
    return {
        "streams": streams,
        "complete": sum(reason in {"stop", "length"} and done for _, _, reason, done in ended),
        "tokens_per_s": sum(count for count, _, _, _ in ended) / took_s,
        "first_token_s": _spread([first for _, first, _, _ in ended]),
        "api_loop_held_at_most_s": _spread(api),
        "worker_loop_held_at_most_s": _spread(engine_host),
    }


async def _stream(session: aiohttp.ClientSession, index: int) -> tuple[int, float, str, bool]:
    """Chunks, seconds to the first one with content, finish reason, and whether `[DONE]` came."""
    body = {
        "model": "quantized",
        "messages": [{"role": "user", "content": f"Tell me story number {index} about the sea."}],
        "max_tokens": MAX_TOKENS,
        "stream": True,
    }
    began_s, first_s, count, reason, done = time.perf_counter(), 0.0, 0, "", False
    async with session.post(f"{BASE_URL}/v1/chat/completions", json=body) as reply:
        async for line in reply.content:
            if not line.startswith(b"data: "):
                continue
            if line.strip() == b"data: [DONE]":
                done = True
                continue
            choice = json.loads(line[6:])["choices"][0]
            count += 1
            first_s = first_s or time.perf_counter() - began_s
            reason = choice["finish_reason"] or reason
    return count, first_s, reason, done


async def _probe(session: aiohttp.ClientSession, url: str) -> list[float]:
    """Seconds each answer took, until cancelled."""
    took: list[float] = []
    try:
        while True:
            began_s = time.perf_counter()
            async with session.get(url) as reply:
                await reply.read()
            took.append(time.perf_counter() - began_s)
            await asyncio.sleep(PROBE_EVERY_S)
    except asyncio.CancelledError:
        return took


def _spread(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": statistics.median(ordered),
        "p99": ordered[int(0.99 * (len(ordered) - 1))],
        "max": ordered[-1],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=32)
    parser.add_argument("--var", type=Path, default=Path("var"), help="State directory with the built variant.")
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(main(arguments.streams, arguments.var)), indent=2))
