"""How long a training takes, and how much memory: 100,000 answered requests in the log, by `trilemma train`.

Writes a seeded log into a directory of its own: prompts of 20 to 300 words over a vocabulary of 5,000, four variants,
every request judged, answers cut at limits, queues. Then runs the command as a process, and prints one JSON object:
its seconds, its largest resident size as the kernel counted it, and the size of what it stored.

    .venv/bin/python benchmarks/training.py --rows 100000
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from gateway.decisions.migrate import upgrade
from gateway.decisions.schema import open_engine
from gateway.decisions.types import DecisionRow, Ending, ObservationRow, ObservationSource, OutcomeRow, Row
from gateway.decisions.write import insert
from gateway.learning import tables, trainings
from policies.features.extract import extract
from policies.features.layout import VERSION
from policies.features.stored import to_stored
from policies.features.types import Prompt

VARIANTS = ("full", "quantized", "distilled", "pruned")
SKILL = (0.9, 0.8, 0.6, 0.4)
SPEED = (0.02, 0.006, 0.004, 0.004)
TENANTS = ("support", "legal", "batch")
PROMPTS = 4000
"""Distinct prompts; extracting 100,000 would take longer than the training."""

BATCH = 2000


def main(rows: int) -> dict[str, object]:
    """Write the log, train on it, and measure."""
    with tempfile.TemporaryDirectory(prefix="training-") as name:
        directory = Path(name)
        (directory / "trilemma.yaml").write_text(_configuration())
        _write_log(directory / "var", rows)
        began_s = time.perf_counter()
        command = [sys.executable, "-m", "gateway.cli", "--config", "trilemma.yaml", "train", "--json"]
        child = subprocess.Popen(
            command, cwd=directory, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(Path.cwd())}
        )
        _, status, usage = os.wait4(child.pid, 0)
        took_s = time.perf_counter() - began_s
        if status:
            raise SystemExit(f"the training ended with status {status}")
        training, sizes = _recorded(directory / "var")
        return {
            "rows": training.rows,
            "judged_rows": training.judged_rows,
            "took_s": round(took_s, 1),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 1),
            "resident_bytes": usage.ru_maxrss * 1024,
            "artifact_bytes": sizes,
            "because": training.because,
            "cores": os.cpu_count(),
        }


def _recorded(var: Path) -> tuple[trainings.Training, dict[str, int]]:
    """The training in the database, and the sizes of what it stored, by kind."""
    engine = open_engine(f"sqlite:///{var / 'trilemma.db'}")
    table = tables.estimators
    with engine.connect() as connection:
        found = connection.execute(sa.select(table.c.kind, sa.func.length(table.c.data)))
        sizes = {kind: int(size) for kind, size in found}
    [training] = trainings.latest(engine)
    engine.dispose()
    return training, sizes


def _configuration() -> str:
    variants = [
        f"  - {{name: {name}, kind: remote, engine: openai, source: 'http://127.0.0.1:9', "
        f"quality: 0.6, ttft_s: 0.2, tpot_s: {tpot_s}, price: {{compute_per_hour_usd: 1}}}}"
        for name, tpot_s in zip(VARIANTS, SPEED, strict=True)
    ]
    return "\n".join(("variants:", *variants)) + "\n"


def _write_log(var: Path, rows: int) -> None:
    engine = open_engine(f"sqlite:///{var / 'trilemma.db'}")
    upgrade(engine)
    batch: list[Row] = []
    for number, made in enumerate(_world(rows), start=1):
        batch += made
        if number % BATCH == 0 or number == rows:
            insert(engine, batch)
            batch = []
            print(f"\r{number} of {rows} rows written", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    engine.dispose()


def _world(rows: int) -> Iterator[list[Row]]:
    """Hard words make answers worse and longer; the queue makes them late."""
    rng = np.random.default_rng(0)
    words = np.array(["".join(rng.choice(list("abcdefghilmnoprstuv"), size=rng.integers(2, 9))) for _ in range(5000)])
    hardness = rng.normal(size=5000)
    prompts = []
    for _ in range(PROMPTS):
        chosen = rng.integers(5000, size=int(rng.integers(20, 300)))
        tenant = TENANTS[int(rng.integers(3))]
        features = extract(Prompt(text=" ".join(words[chosen]), tenant=tenant))
        prompts.append((tenant, len(chosen) * 2, float(hardness[chosen].mean() * 3), to_stored(features)))
    for number in range(rows):
        yield _row(number, prompts[int(rng.integers(PROMPTS))], rng)


def _row(number: int, prompt: tuple[str, int, float, dict[str, object]], rng: np.random.Generator) -> list[Row]:
    tenant, prompt_tokens, hard, features = prompt
    chosen = int(rng.integers(len(VARIANTS)))
    variant, name = VARIANTS[chosen], f"dec_{number:08}"
    whole = int(np.ceil(60.0 * np.exp(0.5 * hard + 0.4 * rng.normal())))
    tokens = min(whole, 256)
    running, queued = int(rng.integers(9)), int(rng.integers(3))
    ttft_s = (0.15 + prompt_tokens * 5e-4) * (1.0 + 0.2 * running) * float(np.exp(0.3 * rng.normal()))
    tpot_s = SPEED[chosen] * (1.0 + 0.1 * running) * float(np.exp(0.2 * rng.normal()))
    latency_s = ttft_s + (tokens - 1) * tpot_s
    right = float(rng.random() < np.clip(SKILL[chosen] - 0.2 * hard, 0.02, 0.98))
    verdicts = [
        {
            "variant": each,
            "state": "warm",
            "excluded_because": None,
            "estimate": {"quality": 0.6, "ttft_s": 0.2, "tpot_s": 0.01, "latency_s": 1.0, "cost_usd": 1e-4},
            "utility": 0.5,
            "propensity": 0.25,
            "running": running,
            "queued": queued,
        }
        for each in VARIANTS
    ]
    decided = DecisionRow(
        decision_id=name,
        request_id=name,
        trace_id=None,
        tenant=tenant,
        policy_hash="benchmark",
        created_at_s=1.7e9 + number,
        route="chat",
        hint="balanced",
        weights={"speed": 1.0},
        limits={},
        prompt_tokens=prompt_tokens,
        max_completion_tokens=None,
        needs=[],
        candidates=verdicts,
        propensities=dict.fromkeys(VARIANTS, 0.25),
        choice=variant,
        explored=False,
        violated=None,
        fallback_used=False,
        pinned=False,
        features_hash=VERSION,
        features=features,
    )
    ended = OutcomeRow(
        decision_id=name,
        ended_at_s=1.7e9 + number + latency_s,
        ending=Ending.DONE,
        variant=variant,
        attempts=[{"variant": variant, "propensity": 0.25, "latency_s": latency_s}],
        cache="bypass",
        queue_s=0.0,
        ttft_s=ttft_s,
        tpot_s=tpot_s,
        latency_s=latency_s,
        prompt_tokens=prompt_tokens,
        completion_tokens=tokens,
        cost_usd=latency_s / 3600.0,
        finish_reason="length" if tokens < whole else "stop",
        error_type=None,
        stages={"decide": 1e-4, "generate": latency_s},
        streamed=True,
    )
    judged = ObservationRow(
        observation_id=f"obs_{number:08}",
        decision_id=name,
        created_at_s=1.7e9 + number,
        source=ObservationSource.CHECK,
        name="exact",
        score=right,
    )
    return [decided, ended, judged]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--out", type=Path, help="Also write the result here.")
    arguments = parser.parse_args()
    result = json.dumps(main(arguments.rows), indent=2)
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(result + "\n")
    print(result)
