"""Every figure of the learned policy, on public tables: what was aimed at, what was reached, and all baselines.

Writes benchmarks/results/routing.json, the picture docs/frontier.svg and, between the marks of docs/routing.md, the
tables it prints. ParetoBandit's test split is read from its package (`pip install paretobandit`), or from --test.

    .venv/bin/python benchmarks/routing_figures.py --data DIR      # or TRILEMMA_DATA; about 20 minutes on two cores
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from policies.simulation.catalogue import chosen
from policies.simulation.plot import draw
from policies.simulation.report import markdown
from policies.simulation.results import Figures, Result
from policies.simulation.rewards import as_outcomes
from policies.simulation.run import Options, Protocol, simulate
from policies.simulation.tables import Table, parse
from policies.simulation.traces import Trace, parse_trace

RESULTS = Path(__file__).parent / "results" / "routing.json"
DOCS = Path(__file__).parents[1] / "docs"
MARKS = re.compile(r"(<!-- figures:[^\n]*-->\n).*?(<!-- /figures -->)", flags=re.DOTALL)
TRACES = ("AzureLLMInferenceTrace_conv", "AzureLLMInferenceTrace_code")
PACKAGE_TEST = Path("data") / "examples" / "test_holdout.jsonl"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One table under one protocol."""

    table: str
    protocol: Protocol
    seeds: int
    tagged: bool = True
    requests: int | None = None
    knee: bool = False


COLD = {"mmlu_pro_4arms": 3000, "zeroeval_12arms": 1000, "mmlupro10_known": 2000, "llmrouter_9arms": 2000}
"""Requests of the cold starts."""

FROZEN = (*COLD, "paretobandit_val_k4", "paretobandit_val", "routellm_gsm8k", "routellm_mmlu")

JOBS = (
    Job(table="routellm_mmlu", protocol="bandit", seeds=3),
    *(Job(table=table, protocol="cold", seeds=6, requests=requests) for table, requests in COLD.items()),
    *(Job(table=table, protocol="frozen", seeds=1) for table in FROZEN),
    Job(table="paretobandit_test", protocol="budget", seeds=10, tagged=False),
    Job(table="paretobandit_val_k4", protocol="budget", seeds=10, tagged=False),
    Job(table="routellm_mmlu", protocol="apgr", seeds=3),
    Job(table="routellm_gsm8k", protocol="apgr", seeds=10),
    Job(table="mmlu_pro_4arms", protocol="sla", seeds=3),
    Job(table="routellm_mmlu", protocol="aiq", seeds=1),
    Job(table="llmrouter_9arms", protocol="aiq", seeds=1),
)
"""The longest first, so that two processes end together."""


def main(data: Path, test: Path, *, jobs: int, only: Sequence[str]) -> None:
    """Run all, write all."""
    wanted = [job for job in JOBS if not only or job.protocol in only]
    with ProcessPoolExecutor(jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        results = list(pool.map(run, wanted, [data] * len(wanted), [test] * len(wanted)))
    if only:
        results = _merged(results)
    text = "\n\n".join([aims(results), *(markdown(result) for result in results)])
    print(text)
    RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    page = DOCS / "routing.md"
    page.write_text(MARKS.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page.read_text()))
    frontier = next(of for of in results if of.protocol == "aiq" and of.table == "routellm_mmlu")
    (DOCS / "frontier.svg").write_bytes(draw(frontier, "svg"))


def _merged(new: Sequence[Result]) -> list[Result]:
    """What was measured before, with the new results in the place of those they repeat."""
    before = msgspec.json.decode(RESULTS.read_bytes(), type=list[Result])
    again = {(result.table, result.protocol): result for result in new}
    return [again.get((result.table, result.protocol), result) for result in before]


def run(job: Job, data: Path, test: Path) -> Result:
    """One job, in a process of its own."""
    traces: list[Trace] = []
    if job.protocol == "sla":
        paths = [data / "traces" / f"{name}.csv.gz" for name in TRACES]
        traces = [parse_trace(path.read_bytes(), name=path.name) for path in paths]
    table, warm = _tables(job, data, test)
    options = Options(
        methods=chosen(),
        seeds=job.seeds,
        warm=warm,
        traces=traces,
        tagged=job.tagged,
        requests=job.requests,
        knee=job.knee,
    )
    result = simulate(replace(table, name=job.table), job.protocol, options, now_ns=time.perf_counter_ns)
    print(f"{job.table}, {job.protocol}: done", file=sys.stderr)
    return result


def aims(results: Sequence[Result]) -> str:
    """What was aimed at, beside what was reached."""
    rows = [row for result in results for row in _aims(result)]
    lines = ["| figure | aim | reached | |", "| --- | --- | --- | --- |"]
    lines += [f"| {what} | {aim} | {reached} | {'yes' if met else '**no**'} |" for what, aim, reached, met in rows]
    return "\n".join(lines)


COLD_AIMS = {"mmlu_pro_4arms": -0.5, "zeroeval_12arms": -2.5, "mmlupro10_known": -1.8, "llmrouter_9arms": -1.2}
APGR_AIMS = {"routellm_mmlu": 0.705, "routellm_gsm8k": 0.64}


def _aims(result: Result) -> list[tuple[str, str, str, bool]]:
    ours, others = result.methods["trilemma"], result.methods
    by_protocol: dict[str, Callable[[], list[tuple[str, str, str, bool]]]] = {
        "apgr": lambda: [_apgr_aim(result.table, ours)],
        "budget": lambda: _budget_aims(result.table, ours, others),
        "cold": lambda: [_cold_aim(result)],
        "frozen": lambda: [_frozen_aim(result)],
        "sla": lambda: _sla_aims(ours, others),
        "bandit": lambda: _bandit_aims(ours),
    }
    return by_protocol.get(result.protocol, list)()


def _apgr_aim(table: str, ours: Figures) -> tuple[str, str, str, bool]:
    least, reached = APGR_AIMS[table], ours.apgr or 0.0
    return f"APGR, {table}", f">= {least:.3f}", f"{reached:.3f}", reached >= least


def _cold_aim(result: Result) -> tuple[str, str, str, bool]:
    ours, least = result.methods["trilemma"], COLD_AIMS[result.table]
    what = f"cold start, {result.table}, {result.facts['requests']:,} requests"
    reached = f"{ours.gain_points:+.2f} ± {ours.gain_points_se:.2f}"
    return what, f">= {least:+.1f} points", reached, ours.gain_points >= least


def _frozen_aim(result: Result) -> tuple[str, str, str, bool]:
    """Quality above the best fixed arm, against the better of the two simplest learners less one standard error."""
    ours, rivals = result.methods["trilemma"], [result.methods["tfidf"], result.methods["source-mean"]]
    best = max(rivals, key=lambda of: of.gain_points)
    least = best.gain_points - best.gain_points_se
    reached = f"{ours.gain_points:+.2f} ± {ours.gain_points_se:.2f}"
    return f"frozen, {result.table}", f">= {least:+.2f} points", reached, ours.gain_points >= least


def _sla_aims(ours: Figures, methods: dict[str, Figures]) -> list[tuple[str, str, str, bool]]:
    attained = [of["sla_attainment"] for of in (ours.tenants or {}).values()]
    rules = {n: of.utility for n, of in methods.items() if n not in ("trilemma", "oracle")}
    best = max(rules, key=lambda name: rules[name])
    return [
        ("SLA windows kept, least of three tenants", ">= 99 %", f"{min(attained):.1%}", min(attained) >= 0.99),
        ("utility", f"> {rules[best]:.4f} ({best})", f"{ours.utility:.4f}", ours.utility > rules[best]),
    ]


def _bandit_aims(ours: Figures) -> list[tuple[str, str, str, bool]]:
    share = ours.share_of_full_information
    gaps = [
        (f"after {scenario.replace('_', ' ')}", "within 2 %", f"{gap:.1%}", gap <= 0.02)
        for scenario, gap in ours.gap_after_drift.items()
    ]
    return [("bandit feedback, of full information", ">= 97 %", f"{share:.1%}", share >= 0.97), *gaps]


def _budget_aims(table: str, ours: Figures, methods: dict[str, Figures]) -> list[tuple[str, str, str, bool]]:
    rows = []
    mixes, rivals = methods["fixed-mix"].budgets, methods["tfidf"].budgets
    for of, mix, rival in zip(ours.budgets, mixes, rivals, strict=True):
        least = max(rival.quality - 0.001, mix.quality)
        spent = f"overspend {of.overspend:+.2%}, worst order {of.overspend_max:+.2%}"
        what = f"quality at {of.budget_usd:.3g} $/request, {table}"
        met = of.quality >= least and of.overspend <= 0.004
        rows.append((what, f">= {least:.4f}, overspend <= 0.4 %", f"{of.quality:.4f}, {spent}", met))
    return rows


def _tables(job: Job, data: Path, test: Path) -> tuple[Table, Table | None]:
    """The table of a job, and what is known beforehand; of four arms one half of the only table is known."""
    if job.table == "paretobandit_test":
        return _test(test), _table(data / "paretobandit_val.jsonl.gz")
    table = _table(data / f"{job.table}.jsonl.gz")
    if job.protocol != "budget":
        return table, None
    rows = np.random.default_rng(0).permutation(len(table))
    return table.take(rows[::2]), table.take(rows[1::2])


def _table(path: Path) -> Table:
    return parse(path.read_bytes(), name=path.name)


def _test(path: Path) -> Table:
    """In our format, or as the package has it."""
    data = path.read_bytes()
    ours = b'"quality"' in data[: data.index(b"\n")]
    return parse(data if ours else as_outcomes(data, name=path.name), name=path.name)


def _packaged() -> Path | None:
    """The test split in the installed package."""
    spec = importlib.util.find_spec("pareto_bandit")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent / PACKAGE_TEST


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("TRILEMMA_DATA"), help="The tables' directory.")
    parser.add_argument("--test", type=Path, default=_packaged(), help="ParetoBandit's test split.")
    parser.add_argument("--jobs", type=int, default=2, help="Processes.")
    parser.add_argument("--only", nargs="*", default=[], help="Protocols to run; the others stay as measured.")
    chosen_args = parser.parse_args()
    if chosen_args.data is None or chosen_args.test is None:
        parser.error(
            "name the tables by --data or TRILEMMA_DATA, and the test split by --test or install paretobandit"
        )
    main(Path(chosen_args.data), chosen_args.test, jobs=chosen_args.jobs, only=chosen_args.only)
