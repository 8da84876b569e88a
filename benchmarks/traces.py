"""The store of traces under a flood: ten minutes of as many traces as are ever kept, and what the store then takes.

Time is compressed: a second of the flood is written at once, and every ten of them the bounds are enforced, as the
gateway does by the clock. Writes `benchmarks/results/traces.json`.

    .venv/bin/python benchmarks/traces.py
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.telemetry.settings import TraceSettings
from gateway.traces.retention import prune
from gateway.traces.table import traces
from gateway.traces.writer import insert
from tests.trace_rows import trace

PER_S = 200
LOOK_EVERY = 10


def main(seconds: int, max_rows: int) -> dict[str, Any]:
    """Write the flood, and look at the table and at the file now and then."""
    settings, sizes, slowest_s = TraceSettings(max_rows=max_rows), [], 0.0
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "trilemma.db"
        engine = open_engine(f"sqlite:///{file}")
        upgrade(engine)
        began_s = time.perf_counter()
        for second in range(seconds):
            first = second * PER_S
            batch_s = time.perf_counter()
            insert(engine, [trace(first + n, started_at_s=1e9 + second + n / PER_S) for n in range(PER_S)])
            slowest_s = max(slowest_s, time.perf_counter() - batch_s)
            if second % LOOK_EVERY == LOOK_EVERY - 1:
                prune(engine, settings, now_s=1e9 + second)
                with engine.connect() as connection:
                    rows, size = connection.execute(sa.select(sa.func.count(), sa.func.sum(traces.c.bytes))).one()
                sizes.append({"second": second + 1, "rows": rows, "bytes": size, "file_bytes": file.stat().st_size})
        took_s = time.perf_counter() - began_s
        engine.dispose()
    settled = [size["file_bytes"] for size in sizes if size["second"] * PER_S > 1.5 * max_rows]
    return {
        "traces_per_s": PER_S,
        "seconds_of_flood": seconds,
        "took_s": took_s,
        "slowest_batch_s": slowest_s,
        "max_rows": max_rows,
        "most_rows": max(size["rows"] for size in sizes),
        "file_bytes_when_settled": {"least": min(settled), "most": max(settled)},
        "sizes": sizes[:: max(1, len(sizes) // 12)],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--max-rows", type=int, default=30_000)
    arguments = parser.parse_args()
    result = main(arguments.seconds, arguments.max_rows)
    text = json.dumps(result, indent=1)
    (Path(__file__).parent / "results" / "traces.json").write_text(text + "\n")
    print(text)
