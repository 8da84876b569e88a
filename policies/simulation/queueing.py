"""A discrete-event model of the pools: requests arrive, wait for a slot, are read, are answered token by token.

Time to first token is the wait and the reading; the answer's tokens then take the longer, the more of the pool's
slots are taken when it begins. Reading and writing both vary around their means. What the router sees is what a live
one would: how many wait and how many run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import simpy
from numpy.typing import NDArray

from policies.estimators.times import parts
from policies.simulation.traces import Trace
from policies.types import Candidate

__all__ = ("Choose", "Ended", "Served", "serve")

F64 = NDArray[np.float64]

SPREAD = 0.2
"""Standard deviation of the logarithms of reading and writing times."""

Choose = Callable[[int, Sequence[Candidate]], int]
"""Which arm answers the arrival of this number, the pools being as they are."""

Ended = Callable[[int, int], None]
"""The arrival of this number has been answered, by this arm."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """What happened to n arrivals."""

    arm: NDArray[np.int64]
    ttft_s: F64
    latency_s: F64
    finish_s: F64
    """When the last token came, on the trace's clock."""


def serve(trace: Trace, pools: Sequence[Candidate], choose: Choose, *, ended: Ended, seed: int) -> Served:
    """Run a trace through the pools until everything is answered.

    Args:
        trace: Arrivals.
        pools: Idle, one per arm.
        choose: Asked at each arrival.
        ended: Told at each last token.
        seed: Of the variation of times: the same for every router.
    """
    model = _Model(trace, pools, choose, ended, seed=seed)
    model.run()
    return model.served


class _Model:
    def __init__(self, trace: Trace, pools: Sequence[Candidate], choose: Choose, ended: Ended, *, seed: int) -> None:
        self._trace, self._idle, self._choose, self._ended = trace, pools, choose, ended
        self._env = simpy.Environment()
        self._slots = [simpy.Resource(self._env, capacity=pool.max_running) for pool in pools]
        # Mean 1, so that the pools are on average as fast as they say.
        self._noise = np.random.default_rng((seed, 3)).lognormal(-(SPREAD**2) / 2, SPREAD, size=(len(trace), 2))
        mean_tokens = float(trace.completion_tokens.mean())
        self._verbosity = [pool.profile.completion_tokens / mean_tokens for pool in pools]
        n = len(trace)
        self.served = Served(
            arm=np.zeros(n, np.int64), ttft_s=np.zeros(n), latency_s=np.zeros(n), finish_s=np.zeros(n)
        )

    def run(self) -> None:
        self._env.process(self._arrivals())
        self._env.run()

    def _arrivals(self) -> Generator[Any, Any, None]:
        for number, at_s in enumerate(self._trace.arrives_s.tolist()):
            yield self._env.timeout(max(0.0, at_s - self._env.now))
            arm = self._choose(number, self._now())
            self.served.arm[number] = arm
            self._env.process(self._answer(number, arm))

    def _now(self) -> list[Candidate]:
        """The pools as a router sees them."""
        return [
            msgspec.structs.replace(idle, queued=len(slots.queue), running=slots.count)
            for idle, slots in zip(self._idle, self._slots, strict=True)
        ]

    def _answer(self, number: int, arm: int) -> Generator[Any, Any, None]:
        arrived_s = self._env.now
        idle, slots = self._idle[arm], self._slots[arm]
        reading, writing = self._noise[number]
        with slots.request() as slot:
            yield slot
            crowd = msgspec.structs.replace(idle, running=slots.count - 1)
            of = parts(crowd, prompt_tokens=int(self._trace.prompt_tokens[number]))
            yield self._env.timeout(of.prefill_s * reading)
            self.served.ttft_s[number] = self._env.now - arrived_s
            tokens = max(1.0, self._trace.completion_tokens[number] * self._verbosity[arm])
            yield self._env.timeout((tokens - 1.0) * (of.tpot_s + of.crowding_s) * writing)
        self.served.latency_s[number] = self._env.now - arrived_s
        self.served.finish_s[number] = self._env.now
        self._ended(number, arm)
