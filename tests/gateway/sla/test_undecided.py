"""Requests without a decision: what was answered by a cache or refused by us is on record, the rest is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.api.parse import parse_chat
from gateway.clock import SYSTEM_CLOCK
from gateway.decisions.log import DecisionLog
from gateway.decisions.read import export
from gateway.decisions.types import Ending, Record, Row
from gateway.learning.dataset import count_since, read_samples
from gateway.learning.online import OnlineLearner
from gateway.policyops.evaluate import NothingJudgedError, evaluate_on_log
from gateway.routing.budgets import Budgets
from gateway.routing.exchange import Exchange
from gateway.tenants.types import Tenant
from policies.estimators.card import CardEstimator
from policies.priorities import DEFAULT_POLICY
from tests.decision_rows import observation, sqlite_url

BODY = b'{"messages": [{"role": "user", "content": "hello"}], "metadata": {"job": "night"}}'


async def ended(url: str, *, end: Ending, error_type: str | None = None, cache: str = "miss") -> list[Row]:
    """What an exchange without a decision leaves in the log, and what followers saw."""
    seen: list[Row] = []
    online = OnlineLearner(charge=Budgets(SYSTEM_CLOCK).charge)

    def follow(row: Row) -> None:
        seen.append(row)
        online.follow(row)

    log = DecisionLog(url, follow=follow)
    await log.start()
    exchange = Exchange(
        parse_chat(BODY, {}), tenant=Tenant(id="law"), clock=SYSTEM_CLOCK, log=log, request_id="req_1"
    )
    exchange.cache = cache  # type: ignore[assignment]
    exchange.quality = 0.75
    exchange.end(end, error_type=error_type)
    exchange.end(Ending.CANCELLED)
    if seen:
        log.record(observation(exchange.decision_id, score=0.0))
    await log.aclose()
    assert not online.learner.tried
    return seen


def records(url: str) -> list[Record]:
    return list(export(url))


@pytest.mark.parametrize(
    ("how", "error_type"),
    [
        (Ending.FAILED, "overloaded"),
        (Ending.FAILED, "timeout"),
        (Ending.FAILED, "server_error"),
        (Ending.STOPPED, None),
    ],
)
async def test_what_we_refuse_before_a_decision_is_on_record(
    tmp_path: Path, how: Ending, error_type: str | None
) -> None:
    url = sqlite_url(tmp_path / "log.sqlite")
    await ended(url, end=how, error_type=error_type)
    [record] = records(url)
    assert record.decision.tenant == "law"
    assert (record.decision.choice, record.decision.candidates, record.decision.propensities) == (None, [], {})
    assert record.outcome is not None
    assert (record.outcome.ending, record.outcome.error_type) == (how, error_type)


@pytest.mark.parametrize("cache", ["exact", "semantic"])
async def test_an_answer_of_the_cache_is_on_record_with_its_quality(tmp_path: Path, cache: str) -> None:
    url = sqlite_url(tmp_path / "log.sqlite")
    await ended(url, end=Ending.DONE, cache=cache)
    [record] = records(url)
    assert record.decision.tags == {"job": "night"}
    assert record.outcome is not None
    assert (record.outcome.cache, record.outcome.quality) == (cache, 0.75)
    assert 0.0 <= record.outcome.ended_at_s - record.decision.created_at_s < 5.0


@pytest.mark.parametrize(
    ("how", "error_type"),
    [
        (Ending.FAILED, "rate_limit_exceeded"),
        (Ending.FAILED, "insufficient_quota"),
        (Ending.FAILED, "invalid_request_error"),
        (Ending.FAILED, "permission_error"),
        (Ending.CANCELLED, None),
    ],
)
async def test_what_the_caller_brought_about_leaves_no_row(
    tmp_path: Path, how: Ending, error_type: str | None
) -> None:
    url = sqlite_url(tmp_path / "log.sqlite")
    assert await ended(url, end=how, error_type=error_type) == []
    assert records(url) == []


async def test_who_learns_from_decisions_passes_over_them(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "log.sqlite")
    await ended(url, end=Ending.DONE, cache="exact")
    await ended(url, end=Ending.FAILED, error_type="overloaded")
    log: Any = DecisionLog(url)
    assert count_since(log._engine, None) == 0
    assert read_samples(log._engine, variants=["quantized"], max_rows=10) == []
    await log.aclose()
    with pytest.raises(NothingJudgedError, match=r"^0 judged"):
        evaluate_on_log(records(url) * 50, DEFAULT_POLICY, candidates={}, estimator=CardEstimator)
