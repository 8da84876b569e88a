"""Small tables of outcomes in which what a prompt says decides which arm is worth its price."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec
import numpy as np

from policies.simulation.queries import Labelled, labelled
from policies.simulation.tables import Arm, Row, Table

__all__ = ("SMALL", "STRONG", "arrivals", "table", "world", "write_table")

SMALL, STRONG = "small", "strong"
_EASY = ("Greet my friend {0} warmly.", "Name a colour that starts with the letter of {0}.")
_HARD = ("Prove that {0} + {0} is even, step by step.", "Integrate x^{0} from 0 to {0} and explain.")


def table(rows: int = 300, *, seed: int = 0, arms: tuple[str, ...] = (SMALL, STRONG), timed: bool = False) -> Table:
    """Half of the prompts are easy: every arm answers them. The first arm fails at the others."""
    rng, found = np.random.default_rng(seed), []
    for i in range(rows):
        hard = bool(rng.random() < 0.5)
        text = (_HARD if hard else _EASY)[int(rng.integers(2))].format(int(rng.integers(1000)))
        found.append(
            Row(
                id=str(i),
                prompt=text,
                source="hard" if hard else "easy",
                arms={
                    arm: Arm(
                        quality=float(rng.random() < (0.1 if hard and place == 0 else 0.9)),
                        cost_usd=1e-4 * 20**place,
                        **({"ttft_s": 0.2, "latency_s": 1.2, "completion_tokens": 51.0} if timed else {}),
                    )
                    for place, arm in enumerate(arms)
                },
            )
        )
    return Table.of(found, name="made")


def world(rows: int = 300, *, seed: int = 0) -> Labelled:
    """The same, as the protocols take it."""
    return labelled(table(rows, seed=seed), tagged=False)


def write_table(path: Path, *, rows: int = 60, seed: int = 0) -> Path:
    """The same as a file; gzipped where its name says so."""
    made = table(rows, seed=seed)
    lines = [
        msgspec.json.encode(
            {
                "id": str(i),
                "prompt": made.prompts[i],
                "source": made.sources[i],
                "arms": {
                    arm: {"quality": float(made.quality[i, place]), "cost_usd": float(made.cost_usd[i, place])}
                    for place, arm in enumerate(made.arms)
                },
            }
        )
        for i in range(rows)
    ]
    data = b"\n".join(lines) + b"\n"
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def arrivals(requests: int = 200, *, per_s: float = 2.0, seed: int = 0) -> bytes:
    """A trace of Poisson arrivals."""
    rng = np.random.default_rng(seed)
    at_s = np.cumsum(rng.exponential(1.0 / per_s, size=requests))
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for at in at_s:
        stamp = np.datetime64("2023-11-16T18:00:00.000000", "us") + np.timedelta64(int(at * 1e6), "us")
        lines.append(f"{str(stamp).replace('T', ' ')},{int(rng.integers(50, 900))},{int(rng.integers(5, 120))}")
    return "\n".join(lines).encode()
