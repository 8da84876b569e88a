"""Tables of known outcomes: what is read, and what is said of what cannot be read."""

from __future__ import annotations

import gzip

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import DocumentError
from policies.simulation.rewards import as_outcomes
from policies.simulation.tables import Arm, Row, parse

_arms = st.builds(
    Arm,
    quality=st.floats(0, 1),
    cost_usd=st.floats(0, 10),
    latency_s=st.none() | st.floats(0, 100),
    completion_tokens=st.none() | st.floats(0, 1e5),
)
_rows = st.builds(
    Row,
    id=st.text(max_size=5),
    prompt=st.text(max_size=40),
    source=st.text(max_size=5),
    arms=st.dictionaries(st.sampled_from("abc"), _arms, min_size=1),
)


@given(rows=st.lists(_rows, min_size=1, max_size=6), zipped=st.booleans())
def test_every_figure_of_a_table_is_read_back_at_its_place(rows: list[Row], zipped: bool) -> None:
    data = b"\n\n".join(msgspec.json.encode(row) for row in rows)
    table = parse(gzip.compress(data) if zipped else data, name="t")
    assert table.prompts.tolist() == [row.prompt for row in rows]
    for i, row in enumerate(rows):
        for place, arm in enumerate(table.arms):
            for field in Arm.__struct_fields__:
                known = getattr(row.arms.get(arm), field, None)
                read = getattr(table, field)[i, place]
                assert np.isnan(read) if known is None else read == known


@given(rows=st.lists(_rows, min_size=1, max_size=6))
def test_only_requests_with_outcomes_of_all_arms_are_compared_on(rows: list[Row]) -> None:
    table = parse(b"\n".join(msgspec.json.encode(row) for row in rows), name="t")
    whole = table.complete()
    assert len(whole) == sum(len(row.arms) == len(table.arms) for row in rows)
    assert np.isfinite(whole.quality).all()


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b'{"id":"1","prompt":"x","arms":{"a":{"quality":1.5,"cost_usd":0}}}', "quality"),
        (b'{"id":"1","prompt":"x","arms":{"a":{"quality":1}}}', "cost_usd"),
        (b'{"id":"1","prompt":"x","arms":{}}', "arms"),
        (b'{"id":"1","arms":{"a":{"quality":1,"cost_usd":0}}}', "prompt"),
        (b"{", "truncated"),
    ],
)
def test_a_line_that_is_no_row_is_named_with_its_field(line: bytes, field: str) -> None:
    sound = b'{"id":"0","prompt":"x","arms":{"a":{"quality":1,"cost_usd":0}}}'
    with pytest.raises(DocumentError, match=rf"^t\.jsonl:3:1: .*{field}"):
        parse(sound + b"\n\n" + line, name="t.jsonl")


def test_a_damaged_archive_and_an_empty_table_are_refused_by_name() -> None:
    with pytest.raises(DocumentError, match=r"t\.gz:1:1: not a sound gzip file"):
        parse(gzip.compress(b"x" * 1000)[:20], name="t.gz")
    with pytest.raises(DocumentError, match="no rows"):
        parse(b"\n\n", name="t")


def test_arms_are_put_into_another_tables_order() -> None:
    line = b'{"id":"0","prompt":"x","arms":{"a":{"quality":1,"cost_usd":2},"b":{"quality":0,"cost_usd":3}}}'
    turned = parse(line, name="t").ordered(("b", "a"))
    assert turned.cost_usd.tolist() == [[3.0, 2.0]]
    with pytest.raises(KeyError):
        turned.ordered(("b", "c"))


def test_a_table_of_rewards_becomes_a_table_of_outcomes() -> None:
    line = b'{"prompt":"p","source":"s","best_arm":"a","arms":{"a":{"reward":0.4,"cost":3e-5,"near_best":false}}}'
    table = parse(as_outcomes(line + b"\n" + line, name="r"), name="r")
    assert (len(table), table.arms, table.sources[1]) == (2, ("a",), "s")
    assert (table.quality[0, 0], table.cost_usd[0, 0]) == (0.4, 3e-5)
    with pytest.raises(DocumentError, match=r"r:1:1: .*reward"):
        as_outcomes(b'{"prompt":"p","arms":{"a":{"cost":1}}}', name="r")
