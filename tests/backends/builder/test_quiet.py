"""Whether the machine is quiet: what others use counts, what we use does not."""

from __future__ import annotations

import pytest

from backends.builder.quiet import LOOK_EVERY_S, QUIET_LOOKS, CpuTimes, conditions, read_cpu, wait_until_quiet


class Machine:
    """Two processors and, look by look, the share of them that others use; the last one stays."""

    def __init__(self, *others: float) -> None:
        self.others = list(others)
        self.now = CpuTimes()
        self.slept_s = 0.0

    def read(self) -> CpuTimes:
        return self.now

    async def sleep(self, seconds: float) -> None:
        others = self.others.pop(0) if len(self.others) > 1 else self.others[0]
        self.slept_s += seconds
        total_s = 2 * seconds
        self.now += CpuTimes(total_s=total_s, used_s=(0.5 + others) * total_s, own_s=0.5 * total_s)

    async def becomes_quiet(self, *, within_s: float) -> bool:
        return await wait_until_quiet(timeout_s=within_s, read=self.read, sleep=self.sleep)


async def test_a_quiet_machine_is_found_so_after_a_few_looks_however_much_we_do_ourselves() -> None:
    machine = Machine(0.01)
    assert await machine.becomes_quiet(within_s=600.0)
    assert machine.slept_s == QUIET_LOOKS * LOOK_EVERY_S


async def test_quiet_looks_must_follow_one_another() -> None:
    machine = Machine(0.0, 0.0, 0.4, 0.0)
    assert await machine.becomes_quiet(within_s=600.0)
    assert machine.slept_s == (3 + QUIET_LOOKS) * LOOK_EVERY_S


async def test_the_wait_ends_in_time_where_the_machine_stays_busy() -> None:
    machine = Machine(0.4)
    assert not await machine.becomes_quiet(within_s=60.0)
    assert machine.slept_s == pytest.approx(60.0)


def test_where_the_system_counts_nothing_nothing_is_known_to_be_busy() -> None:
    assert not conditions(CpuTimes(), spread=0.0).busy


def test_the_real_processors_are_read() -> None:
    before = read_cpu()
    sum(range(200_000))
    passed = read_cpu().since(before)
    assert passed.own_s >= 0.0
    assert 0.0 <= passed.others_share <= 1.0
    assert 0.0 <= passed.stolen_share <= 1.0
