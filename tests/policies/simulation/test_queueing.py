"""The queue model: nobody is served before they came, by more slots than there are, or differently twice."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from policies.errors import DocumentError
from policies.simulation.queueing import serve
from policies.simulation.servers import pools
from policies.simulation.traces import merged, parse_trace
from policies.types import Candidate
from tests.outcome_worlds import arrivals, table

TRACE = merged([parse_trace(arrivals(300), name="a")])
POOLS = pools(table(100, timed=True), TRACE)


def _nothing(number: int, arm: int) -> None:
    pass


def test_never_do_more_run_than_there_are_slots_and_nobody_waits_beside_a_free_one() -> None:
    seen: list[Sequence[Candidate]] = []

    def choose(_: int, live: Sequence[Candidate]) -> int:
        seen.append(live)
        return 1

    served = serve(TRACE, POOLS, choose, ended=_nothing, seed=0)
    assert max(live[1].running for live in seen) == POOLS[1].max_running
    assert all(live[1].running == live[1].max_running for live in seen if live[1].queued)
    assert all(live[0].running == live[0].queued == 0 for live in seen)
    assert (served.latency_s >= served.ttft_s).all()
    np.testing.assert_allclose(served.finish_s, TRACE.arrives_s + served.latency_s)


def test_with_a_slot_for_everyone_only_reading_delays_the_first_token() -> None:
    wide = [msgspec.structs.replace(pool, max_running=len(TRACE)) for pool in POOLS]
    ttft_s = serve(TRACE, wide, lambda _, __: 0, ended=_nothing, seed=0).ttft_s
    assert ttft_s.mean() == pytest.approx(POOLS[0].profile.ttft_s, rel=0.15)
    narrow = [msgspec.structs.replace(pool, max_running=1) for pool in POOLS]
    assert (serve(TRACE, narrow, lambda _, __: 0, ended=_nothing, seed=0).ttft_s >= ttft_s - 1e-9).all()


def test_a_seed_gives_the_same_times_and_everyone_is_told_of_once() -> None:
    told: list[int] = []
    first = serve(TRACE, POOLS, lambda n, _: n % 2, ended=lambda n, _: told.append(n), seed=4)
    again = serve(TRACE, POOLS, lambda n, _: n % 2, ended=_nothing, seed=4)
    np.testing.assert_array_equal(first.latency_s, again.latency_s)
    assert sorted(told) == list(range(len(TRACE)))


def test_the_cheapest_arm_can_carry_all_and_the_dearest_cannot() -> None:
    spent_s = [pool.profile.ttft_s + pool.profile.completion_tokens * pool.profile.tpot_s * 1.25 for pool in POOLS]
    rate = len(TRACE) / float(TRACE.arrives_s[-1])
    carries = [pool.max_running / (rate * busy_s) for pool, busy_s in zip(POOLS, spent_s, strict=True)]
    assert carries[0] > 1.0 > carries[1]


def test_merged_traces_are_in_order_and_know_their_origin() -> None:
    parts = [parse_trace(arrivals(50, seed=seed), name="a") for seed in (0, 1)]
    both = merged(parts)
    assert (np.diff(both.arrives_s) >= 0).all()
    assert both.arrives_s[0] == 0.0
    assert np.bincount(both.origin).tolist() == [50, 50]
    assert len(merged(parts, requests=30)) == 30


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"when,how\n", r"a:1:1: expected the header"),
        (arrivals(3) + b"\n2023-11-16 18:00:00,many,3", r"a:5:1"),
        (arrivals(3) + b"\nyesterday,1,3", r"a:5:1"),
        (b"TIMESTAMP,ContextTokens,GeneratedTokens\n", "no arrivals"),
    ],
)
def test_a_line_that_is_no_arrival_is_named(data: bytes, where: str) -> None:
    with pytest.raises(DocumentError, match=where):
        parse_trace(data, name="a")
