"""One table under one protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from policies.simulation.methods import Method
from policies.simulation.ours import TRILEMMA, Fitted
from policies.simulation.protocols import aiq, apgr, bandit, budget, cold, drift, frozen
from policies.simulation.queries import Labelled, Told, labelled, silent
from policies.simulation.results import Figures, Result
from policies.simulation.tables import Table
from policies.simulation.traces import Trace, merged

__all__ = ("PROTOCOLS", "Options", "Protocol", "simulate")

Protocol = Literal["apgr", "aiq", "budget", "bandit", "cold", "frozen", "sla"]
PROTOCOLS: tuple[Protocol, ...] = ("apgr", "aiq", "budget", "bandit", "cold", "frozen", "sla")

DEFAULT_SEEDS: dict[Protocol, int] = {
    "apgr": 5,
    "aiq": 3,
    "budget": 20,
    "bandit": 5,
    "cold": 5,
    "frozen": 1,
    "sla": 3,
}
Facts = dict[str, float | int | str | None]

COLD_REQUESTS = 2000
"""Of a cold start."""

DRIFT_AFTER = 2000
"""Requests before the world changes."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a simulation may be told."""

    methods: Sequence[Method]
    seeds: int | None = None
    """None is the protocol's own number."""
    warm: Table | None = None
    """Known beforehand; only `budget` reads it."""
    budgets_usd: Sequence[float] = budget.PUBLISHED_BUDGETS_USD
    traces: Sequence[Trace] = ()
    """Arrivals for `sla`."""
    requests: int | None = None
    """Length of the stream of `bandit` and `cold`, or of the trace of `sla`; None is the protocol's own."""
    knee: bool = False
    """Whether money counts in `cold`."""
    tagged: bool = True
    """Whether a row's source is given to the routers as a tag."""


def simulate(
    table: Table, protocol: Protocol, options: Options, *, now_ns: Callable[[], int], told: Told = silent
) -> Result:
    """Run one protocol.

    Args:
        table: Rows that lack an outcome of some arm are left out.
        protocol: Which.
        options: See there.
        now_ns: A clock, read around each choice; what is measured with it decides nothing.
        told: Told how far it is.

    Raises:
        ValueError: The table or the options do not suit the protocol; says how.
    """
    whole = table.complete()
    if len(whole) < 2 * len(whole.arms) + 10:
        raise ValueError(f"{len(whole)} rows have outcomes of all {len(whole.arms)} arms: too few to compare on")
    began_ns = now_ns()
    rows = labelled(whole, tagged=options.tagged, told=told)
    features_us = (now_ns() - began_ns) / 1e3 / len(rows)
    seeds = options.seeds or DEFAULT_SEEDS[protocol]
    methods, facts = _measured(whole, rows, protocol, options, seeds=seeds, now_ns=now_ns, told=told)
    return Result(
        table=table.name,
        protocol=protocol,
        seeds=seeds,
        methods=dict(methods),
        rows=len(rows),
        rows_left_out=len(table) - len(rows),
        arms=rows.arms,
        tagged=options.tagged,
        features_us=features_us,
        facts=facts,
    )


def _measured(
    table: Table,
    rows: Labelled,
    protocol: Protocol,
    options: Options,
    *,
    seeds: int,
    now_ns: Callable[[], int],
    told: Told,
) -> tuple[Mapping[str, Figures], Facts]:
    match protocol:
        case "apgr":
            weak, strong = apgr.weak_and_strong(rows)
            facts: Facts = {"weak": rows.arms[weak], "strong": rows.arms[strong]}
            return apgr.measure(rows, options.methods, seeds=seeds, told=told), facts
        case "aiq" | "frozen":
            measure = aiq.measure if protocol == "aiq" else frozen.measure
            return measure(rows, options.methods, seeds=seeds, told=told), {}
        case "budget":
            return _budget(rows, options, seeds=seeds, now_ns=now_ns, told=told)
        case "cold":
            return _cold(rows, options, seeds=seeds, now_ns=now_ns, told=told)
        case "bandit":
            return _bandit(rows, options, seeds=seeds, now_ns=now_ns, told=told)
        case "sla":
            return _sla(table, rows, options, seeds=seeds, now_ns=now_ns, told=told), {}


def _budget(
    rows: Labelled, options: Options, *, seeds: int, now_ns: Callable[[], int], told: Told
) -> tuple[dict[str, Figures], Facts]:
    warm = _warm(rows, options, told)
    methods = [method for method in options.methods if warm is not None or method.begins != "warm"]
    measured = budget.measure(
        rows, methods, warm=warm, budgets_usd=tuple(options.budgets_usd), seeds=seeds, now_ns=now_ns, told=told
    )
    return measured, {"warm_rows": 0 if warm is None else len(warm)}


def _cold(
    rows: Labelled, options: Options, *, seeds: int, now_ns: Callable[[], int], told: Told
) -> tuple[dict[str, Figures], Facts]:
    requests = options.requests or COLD_REQUESTS
    measured = cold.measure(
        rows, options.methods, seeds=seeds, requests=requests, knee=options.knee, now_ns=now_ns, told=told
    )
    return measured, {"requests": requests, "knee": options.knee}


def _sla(
    table: Table, rows: Labelled, options: Options, *, seeds: int, now_ns: Callable[[], int], told: Told
) -> dict[str, Figures]:
    from policies.simulation.protocols.sla import measure  # noqa: PLC0415 - the others run without simpy

    if not options.traces:
        raise ValueError("protocol sla needs at least one trace of arrivals")
    trace = merged(options.traces, requests=options.requests)
    learner = TRILEMMA.learner or Fitted
    return measure(table, rows, trace, learner=learner, seeds=seeds, now_ns=now_ns, told=told)


def _bandit(
    rows: Labelled, options: Options, *, seeds: int, now_ns: Callable[[], int], told: Told
) -> tuple[dict[str, Figures], Facts]:
    methods = [method for method in options.methods if method.begins != "warm"]
    requests = options.requests or bandit.REQUESTS
    learner = TRILEMMA.learner or Fitted
    measured = bandit.measure(
        rows, methods, learner=learner, seeds=seeds, requests=requests, now_ns=now_ns, told=told
    )
    drifted = drift.measure(rows, methods, learner=learner, seeds=seeds, requests=DRIFT_AFTER, told=told)
    for name, by_scenario in drifted.items():
        measured[name] = msgspec.structs.replace(
            measured[name],
            gap_after_drift={
                s: sum(drift.left(gaps) for gaps in found) / len(found) for s, found in by_scenario.items()
            },
            recovery_requests={
                s: [drift.recovered_after(gaps) for gaps in found] for s, found in by_scenario.items()
            },
        )
    return measured, {"per_usd": bandit.price(rows), "requests": min(requests, len(rows) // 2)}


def _warm(rows: Labelled, options: Options, told: Told) -> Labelled | None:
    if options.warm is None:
        return None
    try:
        table = options.warm.ordered(rows.arms).complete()
    except KeyError as error:
        raise ValueError(f"the warm table has no outcomes of {error.args[0]}") from None
    return labelled(table, tagged=options.tagged, told=told)
