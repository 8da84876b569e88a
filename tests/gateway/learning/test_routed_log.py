"""The log is read as the requests it was written from, newest first and never more than a bound."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import Engine

from gateway.decisions.types import Ending
from gateway.decisions.write import insert
from gateway.learning import routed_log
from gateway.learning.routed_log import read_routed
from tests.decision_rows import decision, outcome
from tests.routed_worlds import START_S, routed_world, rows_of

NOW_S = START_S + 1e6


def test_what_is_read_is_what_was_logged(engine: Engine) -> None:
    requests = routed_world(1, rows=50).requests
    insert(engine, rows_of(requests, ends_s=requests[-1].created_at_s))
    found = read_routed(engine, since_s=START_S, until_s=NOW_S)
    assert found.complete
    assert found.requests == requests


def test_only_the_period_the_tenant_and_the_hint_are_read(engine: Engine) -> None:
    requests = routed_world(1, rows=10).requests
    insert(engine, rows_of(requests, ends_s=requests[-1].created_at_s))
    assert len(read_routed(engine, since_s=requests[4].created_at_s, until_s=requests[8].created_at_s).requests) == 4
    assert len(read_routed(engine, since_s=0, until_s=NOW_S, tenant="law", hint="balanced").requests) == 10
    assert read_routed(engine, since_s=0, until_s=NOW_S, tenant="zoo").requests == []
    assert read_routed(engine, since_s=0, until_s=NOW_S, hint="cost").requests == []


def test_of_a_long_log_the_newest_are_read_page_by_page(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routed_log, "PAGE_ROWS", 7)
    requests = routed_world(1, rows=30).requests
    insert(engine, rows_of(requests, ends_s=requests[-1].created_at_s))
    found = read_routed(engine, since_s=0, until_s=NOW_S, max_rows=20)
    assert found.requests == requests[10:]
    assert not found.complete
    assert read_routed(engine, since_s=0, until_s=NOW_S, max_rows=30).complete


@pytest.mark.parametrize(
    "changes",
    [
        {"ending": Ending.FAILED},
        {"error_type": "upstream_error"},
        {"cache": "exact"},
        {"variant": "other"},
        {"attempts": [{"variant": "a", "held": "good_enough"}]},
        {"attempts": [{"variant": "b"}, {"variant": "a"}]},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_answer_that_the_choice_did_not_give_alone_tells_nothing(
    engine: Engine, changes: dict[str, object]
) -> None:
    alone = {"variant": "a", "attempts": [{"variant": "a"}]}
    insert(engine, [decision("d", choice="a", candidates=[]), outcome("d", **(alone | changes))])
    [found] = read_routed(engine, since_s=0, until_s=NOW_S).requests
    assert found.realised is None


def test_refusals_and_rows_that_do_not_hold_together_are_passed_over(engine: Engine) -> None:
    insert(
        engine,
        [
            decision("refused", choice=None, candidates=[]),
            decision("odd", candidates=[{"variant": 3}]),
            decision("in flight", choice="a", candidates=[]),
        ],
    )
    [found] = read_routed(engine, since_s=0, until_s=NOW_S).requests
    assert (found.choice, found.realised, found.valuation) == ("a", None, None)


def test_ttft_counts_for_streamed_answers_only(engine: Engine) -> None:
    whole = {"variant": "a", "attempts": [{"variant": "a"}], "streamed": False, "ttft_s": 3.0}
    insert(engine, [decision("d", choice="a", candidates=[]), outcome("d", **whole)])
    [found] = read_routed(engine, since_s=0, until_s=NOW_S).requests
    assert found.realised is not None
    assert found.realised.ttft_s is None
