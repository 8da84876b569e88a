"""Rows of the decision log, and a process that writes them until it is told to stop or killed."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from gateway.decisions.log import DecisionLog
from gateway.decisions.types import DecisionRow, Ending, ObservationRow, ObservationSource, OutcomeRow

__all__ = ("decision", "observation", "outcome", "sqlite_url")


def sqlite_url(file: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{file}"


def decision(name: str = "dec_1", /, **changes: object) -> DecisionRow:
    """An ordinary decision, but for the changes."""
    plain: dict[str, object] = {
        "decision_id": name,
        "request_id": f"req_{name}",
        "trace_id": None,
        "tenant": "default",
        "policy_hash": "0123456789ab",
        "created_at_s": 1_700_000_000.25,
        "route": "chat",
        "hint": "balanced",
        "weights": {"speed": 0.2, "cost": 0.2, "accuracy": 0.6},
        "limits": {"ttft_s": 2.0, "latency_s": None, "max_cost_usd": None, "min_quality": None},
        "prompt_tokens": 60,
        "max_completion_tokens": None,
        "needs": [],
        "candidates": [
            {"variant": "full", "state": "cold", "excluded_because": {"reason": "ttft", "detail": "4 s > 2 s"}},
            {"variant": "quantized", "state": "warm", "excluded_because": None, "utility": 0.5, "propensity": 1.0},
        ],
        "propensities": {"full": 0.0, "quantized": 1.0},
        "choice": "quantized",
        "explored": False,
        "violated": None,
        "fallback_used": False,
        "pinned": False,
    }
    return DecisionRow(**(plain | changes))  # type: ignore[arg-type]


def outcome(name: str = "dec_1", /, **changes: object) -> OutcomeRow:
    """An answer that was complete, but for the changes."""
    plain: dict[str, object] = {
        "decision_id": name,
        "ended_at_s": 1_700_000_001.5,
        "ending": Ending.DONE,
        "variant": "quantized",
        "attempts": [{"variant": "quantized", "propensity": 1.0, "latency_s": 1.0, "error_type": None}],
        "cache": "bypass",
        "queue_s": 0.0,
        "ttft_s": 0.1,
        "tpot_s": 0.01,
        "latency_s": 1.0,
        "prompt_tokens": 61,
        "completion_tokens": 64,
        "cost_usd": 1e-5,
        "finish_reason": "stop",
        "error_type": None,
        "stages": {"decide": 0.0001, "generate": 0.9},
        "streamed": True,
    }
    return OutcomeRow(**(plain | changes))  # type: ignore[arg-type]


def observation(name: str = "dec_1", /, *, number: int = 1, **changes: object) -> ObservationRow:
    """A user's score, but for the changes."""
    plain: dict[str, object] = {
        "observation_id": f"obs_{name}_{number}",
        "decision_id": name,
        "created_at_s": 1_700_000_002.0 + number,
        "source": ObservationSource.FEEDBACK,
        "name": "score",
        "score": 0.5,
    }
    return ObservationRow(**(plain | changes))  # type: ignore[arg-type]


async def write_until_killed(url: str, *, flush_interval_s: float) -> None:
    """Record a row every millisecond, and say so: its number, when, and how many rows are written."""
    log = DecisionLog(url, flush_interval_s=flush_interval_s)
    await log.start()
    number = 0
    while True:
        log.record(decision(f"dec_{number}", created_at_s=float(number)))
        sys.stdout.write(f"{number} {time.monotonic()} {log.stats.written}\n")
        sys.stdout.flush()
        number += 1
        await asyncio.sleep(0.001)


async def write_some(urls: list[str], *, prefix: str, count: int) -> None:
    """Migrate and write to each database in turn."""
    for url in urls:
        log = DecisionLog(url)
        await log.start()
        for number in range(count):
            log.record(decision(f"{prefix}_{number}", created_at_s=float(number)))
        log.record(decision("shared"))
        await log.aclose()
        assert log.stats.backlog == 0


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["forever", url, interval]:
            asyncio.run(write_until_killed(url, flush_interval_s=float(interval)))
        case ["some", prefix, count, *urls]:
            asyncio.run(write_some(urls, prefix=prefix, count=int(count)))
