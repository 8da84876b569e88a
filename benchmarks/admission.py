"""What the queue costs: where there is room, and with one in and one out of a long queue.

Entering is timed through the whole of `Admission.enter`, the rest on the core. The queue is timed at three lengths
and with few and many tenants, to see what grows with it. Every figure is the median of the fastest of several rounds,
for a machine that others use too. Prints one JSON object, and writes it to benchmarks/results/admission.json.

    .venv/bin/python benchmarks/admission.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gateway.admission.core import Core
from gateway.admission.types import Ticket
from gateway.api.parse import parse_chat
from gateway.decisions.types import Ending
from gateway.lifespan import open_services
from gateway.paths import StatePaths
from gateway.routing.exchange import Exchange
from gateway.services import Services
from gateway.settings import Settings

RESULTS = Path(__file__).parent / "results" / "admission.json"
PLACES = 64
LENGTHS, TENANTS = (100, 1_000, 10_000), (20, 1_000)
REQUEST = parse_chat(b'{"messages": [{"role": "user", "content": "hello"}]}', {})


def main(calls: int, rounds: int) -> dict[str, Any]:
    """Time everything."""
    queue = {
        f"{length}_waiting_{tenants}_tenants": _best(_one_out_one_in(length, tenants), calls=calls, rounds=rounds)
        for length in LENGTHS
        for tenants in TENANTS
    }
    return {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "python": platform.python_version(),
        "p50_us": {
            "enter_with_room": asyncio.run(_with_room(calls, rounds)),
            "core_in_and_out": _best(_in_and_out(), calls=calls, rounds=rounds),
            "one_out_one_in": queue,
        },
        "at_10000_over_100_waiting": {
            f"{tenants}_tenants": queue[f"10000_waiting_{tenants}_tenants"] / queue[f"100_waiting_{tenants}_tenants"]
            for tenants in TENANTS
        },
    }


async def _with_room(calls: int, rounds: int) -> float:
    """The whole of `enter`, in front of four variants of which none is busy."""
    named = [
        {"name": name, "kind": "remote", "engine": "openai", "source": "http://127.0.0.1:9"}
        | {"quality": 0.5, "ttft_s": 0.1, "tpot_s": 0.01, "price": {"compute_per_hour_usd": 1.0}}
        for name in "abcd"
    ]
    with tempfile.TemporaryDirectory() as directory:
        paths = StatePaths(root=Path(directory))
        paths.run.mkdir()
        async with open_services(msgspec.convert({"variants": named}, Settings), paths) as services:
            return min([await _entered(services, calls) for _ in range(rounds)])


async def _entered(services: Services, calls: int) -> float:
    pool, took_us = frozenset("abcd"), np.empty(calls)
    for call in range(calls):
        exchange = Exchange(REQUEST, clock=services.clock, log=services.log, request_id="r")
        began_ns = time.perf_counter_ns()
        await services.admission.enter(exchange, pool)
        took_us[call] = (time.perf_counter_ns() - began_ns) / 1e3
        before = services.admission.stats.at_work
        exchange.end(Ending.CANCELLED)
        assert services.admission.stats.at_work == before - 1
    return round(float(np.median(took_us)), 2)


def _in_and_out() -> Callable[[], object]:
    core = Core(max_queued=10)
    core.arrange(dict.fromkeys("abcd", PLACES), 0.0)
    pool = frozenset("abcd")

    def way() -> None:
        one = Ticket(pool=pool, tenant="t")
        core.offer(one, 1.0)
        core.sent(one, "a", 1.0)
        core.leave(one, 2.0)

    return way


def _one_out_one_in(length: int, tenants: int) -> Callable[[], object]:
    """A queue that stays as long as it is: each place that gets free lets one in, and one more comes."""
    core, pool, number = Core(max_queued=2 * length), frozenset("ab"), 0
    core.arrange(dict.fromkeys("ab", PLACES // 2), 0.0)

    def arriving() -> Ticket:
        nonlocal number
        number += 1
        return Ticket(pool=pool, tenant=f"t{number % tenants}")

    at_work = [one for _ in range(PLACES) for one in core.offer(arriving(), 0.0)]
    for _ in range(length):
        core.offer(arriving(), 0.0)

    def way() -> None:
        at_work.extend(core.leave(at_work.pop(0), 1.0))
        core.offer(arriving(), 1.0)

    return way


def _best(way: Callable[[], object], *, calls: int, rounds: int) -> float:
    medians = []
    for _ in range(rounds):
        took_us = np.empty(calls)
        for call in range(calls):
            began_ns = time.perf_counter_ns()
            way()
            took_us[call] = (time.perf_counter_ns() - began_ns) / 1e3
        medians.append(float(np.median(took_us)))
    return round(min(medians), 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000, help="Of each kind and round.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="Print only.")
    arguments = parser.parse_args()
    found = json.dumps(main(arguments.calls, arguments.rounds), indent=2)
    if not arguments.no_write:
        RESULTS.write_text(found + "\n")
    print(found)
