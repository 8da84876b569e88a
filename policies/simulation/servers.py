"""The arms as pools of servers: how fast each is, and how much of the load it could carry alone.

The times come from the table where it has them. A table without times gets assumed ones, the dearer the slower. The
dearest arm can carry half of the offered load, the cheapest one and a half times it: so there is always something to
decide, and never an arm that is right for everything.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from policies.simulation.tables import Table
from policies.simulation.traces import Trace
from policies.types import Candidate, CandidateState, Profile

__all__ = ("pools",)

F64 = NDArray[np.float64]

CARRIES = (1.5, 0.5)
"""Share of the offered load that the cheapest and the dearest arm can carry alone."""

CROWDING = 0.5
"""By how much a token takes longer when all slots of a pool are taken."""

PREFILL_TOKENS_PER_S = 8000.0
TTFT_PROMPT_TOKENS = 500
"""Length of the prompt at which the table's times to first token are taken to be measured."""

ASSUMED_TTFT_S, ASSUMED_TPOT_S = (0.15, 0.4), (0.01, 0.04)
"""Of the cheapest and the dearest arm."""


def pools(table: Table, trace: Trace) -> list[Candidate]:
    """One idle pool per arm, in the table's order.

    Args:
        table: Complete.
        trace: What will be asked of them.
    """
    costs = table.cost_usd.mean(axis=0)
    ttft_s, tpot_s = _times(table, costs)
    tokens = table.completion_tokens.mean(axis=0)
    verbosity = np.ones(len(costs)) if np.isnan(tokens).any() else tokens / tokens.mean()
    completion = verbosity * trace.completion_tokens.mean()
    rate = len(trace) / max(1.0, float(trace.arrives_s[-1] - trace.arrives_s[0]))
    prefill_s = ttft_s + (trace.prompt_tokens.mean() - TTFT_PROMPT_TOKENS) / PREFILL_TOKENS_PER_S
    busy_s = np.maximum(prefill_s, 0.0) + completion * tpot_s * (1.0 + CROWDING / 2.0)
    slots = np.maximum(1, np.ceil(rate * busy_s * _between(costs, CARRIES)))
    return [
        Candidate(
            name=arm,
            state=CandidateState.WARM,
            profile=Profile(
                quality=float(table.quality[:, i].mean()),
                ttft_s=float(ttft_s[i]),
                ttft_prompt_tokens=TTFT_PROMPT_TOKENS,
                tpot_s=float(tpot_s[i]),
                tpot_slope_s=float(CROWDING * tpot_s[i] / slots[i]),
                prefill_tokens_per_s=PREFILL_TOKENS_PER_S,
                completion_tokens=float(completion[i]),
            ),
            context_tokens=1_000_000,
            max_running=int(slots[i]),
            completion_per_token_usd=float(costs[i] / completion[i]),
        )
        for i, arm in enumerate(table.arms)
    ]


def _times(table: Table, costs: F64) -> tuple[F64, F64]:
    """Seconds to the first token, and a token thereafter, of each arm."""
    if np.isnan(table.ttft_s + table.latency_s + table.completion_tokens).any():
        return _between(costs, ASSUMED_TTFT_S), _between(costs, ASSUMED_TPOT_S)
    decode_s = (table.latency_s - table.ttft_s) / np.maximum(table.completion_tokens - 1.0, 1.0)
    return np.median(table.ttft_s, axis=0), np.maximum(np.median(decode_s, axis=0), 1e-4)


def _between(costs: F64, ends: tuple[float, float]) -> F64:
    """From the first end for the cheapest to the second for the dearest, evenly over the logarithms."""
    logs = np.log(np.maximum(costs, 1e-12))
    place = (logs - logs.min()) / max(float(np.ptp(logs)), 1e-12)
    between: F64 = ends[0] * (ends[1] / ends[0]) ** place
    return between
