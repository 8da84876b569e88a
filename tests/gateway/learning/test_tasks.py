from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.builder.tasks import check, items
from gateway.learning.tasks import TaskFileError, built_in, read_tasks
from policies.checks import score

ANSWERS = [
    "It is Paris.",
    "cold",
    '{"name": "Anna", "age": 30}',
    'Here:\n```json\n{"NAME": "x", "name": "anna", "age": "30"}\n```',
    '{"name": "Anna"}',
    '{"rooms":"5","color":"White"} ',
    '{"from": "ROME", "to": ["Paris"]}',
    "RIVER, river",
    "cloud cloud cloud",
    "cloud cloud cloud cloud cloud",
    "{",
    "",
]


def lines(*tasks: dict[str, Any]) -> bytes:
    return b"\n".join(json.dumps(task).encode() for task in tasks)


def number_check(answer: str) -> Any:
    [item] = read_tasks(lines({"question": "q", "answer": f"because …\n#### {answer}"}), name="x").items
    return item.checks[0]


def test_the_built_in_tasks_are_judged_as_cards_judge_them() -> None:
    tasks = built_in().items
    assert len(tasks) == len(items()) == 120
    for item, task in zip(items(), tasks, strict=True):
        assert (task.prompt, task.family) == (item.prompt, item.family)
        assert [score(task.checks[0], answer) for answer in ANSWERS] == [check(item, answer) for answer in ANSWERS]


@given(st.integers(-10_000, 10_000_000), st.sampled_from(["It is {}.", "#### {}", "2 + 3 = {}", "${} in all"]))
def test_a_number_is_right_where_it_is_the_last_one_however_it_is_written(number: int, text: str) -> None:
    right = number_check(f"{number:,}")
    for written in (f"{number}", f"{number:,}", f"{number}.00"):
        assert score(right, text.format(written)) == 1
        assert score(right, text.format(written) + " And 7 more") == 0
    for wrong in (f"{number}1", f"{number}.5", f"1.{abs(number)}", "none"):
        assert score(right, text.format(wrong)) == 0


def test_decimals_count() -> None:
    right = number_check("12.50")
    assert [score(right, text) for text in ("12.5", "12.500", "12.05", "12", "125")] == [1, 1, 0, 0, 0]


def test_an_answer_without_a_number_is_compared_as_it_is() -> None:
    [item] = read_tasks(lines({"question": "Capital?", "answer": "Paris"}), name="x").items
    assert [score(item.checks[0], text) for text in ("paris.", "It is Paris")] == [1, 0]


def test_a_task_is_the_same_as_long_as_nothing_about_it_changes() -> None:
    task = {"id": "a", "prompt": "p", "family": "f", "checks": [{"type": "exact", "answer": "x"}], "max_tokens": 9}
    changed = [
        task | {"prompt": "q"},
        task | {"max_tokens": 10},
        task | {"checks": [{"type": "regex", "pattern": "x"}]},
    ]
    found = [next(iter(read_tasks(lines(t), name="set").request_ids())) for t in (task, dict(task), *changed)]
    assert len(set(found)) == 4
    assert found[0] == found[1]
    assert all(len(key) <= 64 for key in found)
    assert read_tasks(lines(task), name="set").request_ids() != read_tasks(lines(task), name="other").request_ids()


def test_the_order_mixes_the_families() -> None:
    families = [item.family for item in built_in().request_ids().values()]
    assert len(set(families[:20])) >= 5


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no task"),
        (b"\n{", "line 2: Input data was truncated"),
        (b"[]", "line 1: Expected `object`"),
        (lines({"prompt": "p"}), "line 1: Object missing required field `id`"),
        (lines({"id": "a", "prompt": "p", "checks": []}), "line 1: Expected `array` of length >= 1"),
        (lines({"id": "a", "prompt": "p", "checks": [{"type": "regex", "pattern": "("}]}), "no regular expression"),
        (lines({"question": "q", "answer": "a", "id": "x"}), "line 1: Object contains unknown field `id`"),
        (lines({"question": "q", "answer": 3}), "line 1: Expected `str`, got `int`"),
        (lines(*[{"id": "a", "prompt": "p", "checks": [{"type": "exact", "answer": "x"}]}] * 2), "`a` is there"),
        (b'{"id": "\xff"}', "line 1"),
    ],
)
def test_a_line_that_is_no_task_is_named(data: bytes, told: str) -> None:
    with pytest.raises(TaskFileError) as caught:
        read_tasks(data, name="x")
    assert told in str(caught.value)
