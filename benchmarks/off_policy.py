"""How far off-policy estimates are from the truth, and how often their intervals cover it.

From worlds in which the outcome of every choice is known, logs are drawn that reveal the chosen variant's only; each
estimator tells the target policy's value from every log. Writes benchmarks/results/off-policy.json and, between the
marks of docs/off-policy.md, the table it prints.

    .venv/bin/python benchmarks/off_policy.py --data DIR        # or TRILEMMA_DATA; about 15 minutes on two cores
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from off_policy_worlds import World, from_table, synthetic, tables
from threadpoolctl import threadpool_limits

from policies.evaluation.estimators import Method
from policies.evaluation.intervals import bootstrap, student
from policies.evaluation.logged import LoggedBatch
from policies.evaluation.report import MIN_ESS, Report, evaluate, value_estimates

RESULTS = Path(__file__).parent / "results" / "off-policy.json"
DOCUMENT = Path(__file__).parents[1] / "docs" / "off-policy.md"
MARKS = re.compile(r"(<!-- measured:begin -->\n).*?(<!-- measured:end -->)", flags=re.DOTALL)
METHODS = tuple(method for method in Method if method is not Method.LOGGED)


def main(data: Path | None, *, runs: int, rows: int, seed: int, jobs: int) -> dict[str, Any]:
    """Judge all estimators in all worlds."""
    found = []
    with ProcessPoolExecutor(jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        cells = [
            pool.submit(judge, world, runs, size, seed + 100 * i + j)
            for i, world in enumerate(_worlds(data, seed))
            for j, size in enumerate(_sizes(world, rows))
        ]
        for cell in cells:
            found.append(cell.result())
            print(f"{found[-1]['world']}, {found[-1]['logging']}: done", file=sys.stderr)
    return {"runs": runs, "seed": seed, "confidence": 0.95, "min_ess": MIN_ESS, "cells": found}


def judge(world: World, runs: int, rows: int, seed: int) -> dict[str, Any]:
    """One world under one logging policy."""
    rng = np.random.default_rng(seed)
    reports, others = [], []
    for _ in range(runs):
        batch = world.log(rows, rng)
        reports.append(evaluate(batch, rng=rng))
        others.append(_covers(batch, world.truth, rng))
    return {
        "world": world.name,
        "logging": world.logging_name,
        "rows": rows,
        "truth": world.truth,
        "median_ess": float(np.median([report.support.ess for report in reports])),
        "max_weight": max(report.support.max_weight for report in reports),
        "refused": float(np.mean([bool(report.problems) for report in reports])),
        "issues": sorted({problem.issue.value for report in reports for problem in report.problems}),
        "methods": {
            method.value: _judged(reports, method, world.truth) | _shares([found[method] for found in others])
            for method in METHODS
        },
    }


def _judged(reports: Sequence[Report], method: Method, truth: float) -> dict[str, float | None]:
    lines = [line for report in reports if (line := report.line(method)) is not None]
    errors = np.array([line.value - truth for line in lines])
    bounds = [line.guaranteed for line in lines if line.guaranteed is not None]
    return {
        "relative_error": float(np.abs(errors).mean() / truth),
        "relative_bias": float(errors.mean() / truth),
        "rmse": float(np.sqrt((errors**2).mean())),
        "coverage": float(np.mean([line.interval.covers(truth) for line in lines])),
        "median_width": float(np.median([line.interval.high - line.interval.low for line in lines])),
        "guaranteed_coverage": float(np.mean([bound.covers(truth) for bound in bounds])) if bounds else None,
        "guaranteed_width": float(np.median([bound.high - bound.low for bound in bounds])) if bounds else None,
    }


def _covers(batch: LoggedBatch, truth: float, rng: np.random.Generator) -> dict[Method, dict[str, bool]]:
    """Whether each kind of interval covers, whichever a report would use."""
    estimates = value_estimates(batch)
    resampled = bootstrap(estimates, rng=rng)
    return {
        estimate.method: {"student_coverage": student(estimate).covers(truth), "bootstrap_coverage": by.covers(truth)}
        for estimate, by in zip(estimates, resampled, strict=True)
    }


def _shares(found: Sequence[dict[str, bool]]) -> dict[str, float]:
    return {kind: float(np.mean([covers[kind] for covers in found])) for kind in found[0]}


def _sizes(world: World, rows: int) -> tuple[int, ...]:
    """Where overlap is poor, how many rows there are matters most."""
    return (rows // 4, rows, 5 * rows // 2) if world.logging_name == "sharp" else (rows,)


def _worlds(data: Path | None, seed: int) -> Iterator[World]:
    rng = np.random.default_rng(seed)
    for curved in (False, True):
        yield from synthetic(rng, curved=curved)
    for path in tables(data) if data else ():
        yield from from_table(path, rng)


def markdown(found: dict[str, Any]) -> str:
    """The table: error and coverage of each estimator."""
    head = [
        "world",
        "logging",
        "rows",
        "ESS",
        "refused",
        *(method.value.replace("_", "-").upper() for method in METHODS),
    ]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)], *map(_row, found["cells"])]
    return (
        "\n".join("| " + " | ".join(line) + " |" for line in lines)
        + "\n\nEach cell: mean absolute error in % of the truth, and in brackets the share of "
        f"{found['runs']} logs whose 95 % interval covers the truth, in %. ESS is the median, refused the share of "
        f"logs whose support did not suffice (floor {found['min_ess']:g} rows). {_of_dr(found)} Written by "
        f"`benchmarks/off_policy.py`, seed {found['seed']}.\n"
    )


def _of_dr(found: dict[str, Any]) -> str:
    shares = [100 * cell["methods"]["dr"]["coverage"] for cell in found["cells"] if cell["refused"] < 0.5]
    luck = 196 * math.sqrt(0.95 * 0.05 / found["runs"])
    return (
        f"In the {len(shares)} lines of which most logs were accepted, DR's interval covers in {min(shares):.1f} to "
        f"{max(shares):.1f} %, {np.mean(shares):.1f} % on average; by chance alone, 95 % would appear as "
        f"{95 - luck:.1f} to {95 + luck:.1f} % in 19 of 20 lines."
    )


def _row(cell: dict[str, Any]) -> list[str]:
    figures = [cell["methods"][method.value] for method in METHODS]
    return [
        cell["world"],
        cell["logging"],
        f"{cell['rows']:,}",
        f"{cell['median_ess']:.0f}",
        f"{100 * cell['refused']:.0f} %",
        *(f"{100 * figure['relative_error']:.1f} ({100 * figure['coverage']:.0f})" for figure in figures),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("TRILEMMA_DATA")
    parser.add_argument(
        "--data", type=Path, default=default, help="Folder of the tables; without it, synthetic only."
    )
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--no-write", action="store_true", help="Print only.")
    arguments = parser.parse_args()
    judged = main(
        Path(arguments.data) if arguments.data else None,
        runs=arguments.runs,
        rows=arguments.rows,
        seed=arguments.seed,
        jobs=arguments.jobs,
    )
    print(markdown(judged))
    if not arguments.no_write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(judged, indent=1) + "\n")
        DOCUMENT.write_text(MARKS.sub(lambda match: f"{match[1]}{markdown(judged)}{match[2]}", DOCUMENT.read_text()))
