"""What proving a key costs a request, among many keys: in memory by its digest, and by a query each as the baseline.

Also how long a process takes to read all keys again after a change. All in one process, in turns. Writes
`benchmarks/results/authentication.json`.

    .venv/bin/python benchmarks/authentication.py --keys 10000 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.clock import SYSTEM_CLOCK
from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.tenants.changes import Author
from gateway.tenants.directory import Directory
from gateway.tenants.keys import digest_of, mint
from gateway.tenants.store import TenantStore
from gateway.tenants.tables import tenant_keys
from gateway.tenants.types import Tenant

IN_MEMORY, QUERIES = 20_000, 1_000


def main(keys: int, rounds: int) -> dict[str, Any]:
    """Seconds per look-up of each way, and per reading of all keys."""
    with tempfile.TemporaryDirectory() as directory:
        engine = open_engine(f"sqlite:///{Path(directory) / 'keys.db'}")
        upgrade(engine)
        texts = _filled(engine, keys)
        known = Directory(TenantStore(engine), clock=SYSTEM_CLOCK)
        known.take(TenantStore(engine).snapshot())
        ways: dict[str, Callable[[], float]] = {
            "in_memory": lambda: _each(IN_MEMORY, texts, known.authenticate),
            "refused_unread": lambda: _refused(known),
            "query": lambda: _each(QUERIES, texts, lambda text: _queried(engine, text)),
            "read_all": lambda: _each(1, texts, lambda _: known.take(TenantStore(engine).snapshot())),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                taken[name].append(way())
        engine.dispose()
    seconds = {name: statistics.median(values) for name, values in taken.items()}
    return {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "keys": keys,
        "rounds": rounds,
        "seconds": seconds,
        "query_over_in_memory": seconds["query"] / seconds["in_memory"],
    }


def _filled(engine: Engine, keys: int) -> list[str]:
    store = TenantStore(engine)
    store.add(Tenant(id="bench"), author=Author(name="bench", now_s=1.0))
    minted = [mint() for _ in range(keys)]
    rows = [
        {
            "key_id": key_id,
            "tenant": "bench",
            "role": "caller",
            "digest": digest_of(text),
            "name": "",
            "created_at_s": 1.0,
        }
        for key_id, text in minted
    ]
    with engine.begin() as connection:
        connection.execute(tenant_keys.insert(), rows)
    return [text for _, text in minted]


def _each(count: int, texts: list[str], look_up: Callable[[str], object]) -> float:
    """Seconds per call."""
    began_s = time.perf_counter()
    for number in range(count):
        look_up(texts[number * 7919 % len(texts)])
    return (time.perf_counter() - began_s) / count


def _refused(known: Directory) -> float:
    """Seconds to refuse what has not the form of a key, however long it is."""
    junk = "tri_" * 4000

    def refused(_: str) -> None:
        try:
            known.authenticate(junk)
        except Exception:  # noqa: BLE001 - it is the refusal that is measured
            return
        raise AssertionError

    return _each(QUERIES, [junk], refused)


def _queried(engine: Engine, text: str) -> object:
    query = sa.select(tenant_keys).where(tenant_keys.c.digest == digest_of(text))
    with engine.connect() as connection:
        return connection.execute(query).one()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    results = main(arguments.keys, arguments.rounds)
    file = Path(__file__).parent / "results" / "authentication.json"
    file.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(results, indent=2))
