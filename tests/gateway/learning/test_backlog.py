from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gateway.learning.backlog import FairBacklog

PUTS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 9)), max_size=60)


def drained(backlog: FairBacklog[str]) -> list[str]:
    found = []
    while (taken := backlog.take()) is not None:
        found.append(taken[1])
    return found


def test_tenants_take_turns_whatever_came_first() -> None:
    backlog = FairBacklog[str](per_tenant=10, total=100)
    for item in ("a1", "a2", "a3", "a4", "b1", "c1", "c2"):
        assert backlog.put(item[0], item) == []
    assert drained(backlog) == ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]


def test_who_comes_anew_is_next_and_who_was_just_served_is_not() -> None:
    backlog, order = FairBacklog[str](per_tenant=10, total=100), []
    for item in ("a1", "a2", "a3"):
        backlog.put("a", item)
    for number in range(3):
        order.append((backlog.take() or ("", ""))[1])
        backlog.put("b", f"b{number}")
    assert order + drained(backlog) == ["a1", "b0", "a2", "b1", "a3", "b2"]


def test_what_is_not_finished_is_the_first_of_its_tenant_at_the_next_turn() -> None:
    backlog = FairBacklog[str](per_tenant=10, total=100)
    for item in ("a1", "a2", "b1"):
        backlog.put(item[0], item)
    tenant, item = backlog.take() or ("", "")
    backlog.give_back(tenant, item)
    assert drained(backlog) == ["b1", "a1", "a2"]


def test_a_full_backlog_drops_the_newest_of_the_tenant_that_has_most() -> None:
    backlog = FairBacklog[str](per_tenant=10, total=4)
    for item in ("a1", "a2", "a3", "b1"):
        assert backlog.put(item[0], item) == []
    assert backlog.put("b", "b2") == ["a3"]
    assert backlog.put("b", "b3") == ["b3"]  # It would have more than any other.
    assert backlog.put("c", "c1") == ["a2"]
    assert drained(backlog) == ["a1", "b1", "c1", "b2"]


def test_one_tenant_cannot_fill_the_backlog_alone() -> None:
    backlog = FairBacklog[int](per_tenant=3, total=100)
    assert [backlog.put("a", number) for number in range(5)] == [[], [], [], [3], [4]]


def test_an_item_that_is_discarded_is_gone_and_another_equal_one_stays() -> None:
    backlog = FairBacklog[list[int]](per_tenant=10, total=10)
    one, other = [1], [1]
    backlog.put("a", one)
    backlog.put("a", other)
    backlog.discard("a", other)
    backlog.discard("b", other)
    taken = backlog.take()
    assert taken is not None
    assert taken[1] is one
    assert backlog.take() is None


@given(PUTS, st.integers(1, 20), st.integers(1, 40))
def test_bounds_hold_and_a_smaller_tenant_never_loses_to_a_larger(
    puts: list[tuple[str, int]], per_tenant: int, total: int
) -> None:
    backlog, waiting = FairBacklog[int](per_tenant=per_tenant, total=total), dict[int, tuple[str, int]]()
    for number, (tenant, size) in enumerate(puts):
        waiting[number] = (tenant, size)
        before = Counter(dict.fromkeys("abcd", 0))
        for name, taken in waiting.values():
            before[name] += taken
        for dropped in backlog.put(tenant, number, size=size):
            name, _ = waiting.pop(dropped)
            assert name == tenant or before[name] > before[tenant]
        sums = Counter[str]()
        for name, taken in waiting.values():
            sums[name] += taken
        assert sums.total() <= total
        assert all(count <= per_tenant for count in sums.values())
        assert len(backlog) == len(waiting)
    assert sorted(iter(lambda: (backlog.take() or (None, None))[1], None)) == sorted(waiting)  # type: ignore[type-var]
