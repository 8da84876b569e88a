"""The most that a call can cost is a true upper bound, and not absurd."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.types import Variant
from gateway.api.parse import parse_chat, parse_completion
from gateway.ledger.bound import LEAST_S, bound
from gateway.tenants.types import Tenant
from tests.ledger_tools import tenant


def variant(**fields: Any) -> Variant:
    stated = {"name": "v", "kind": "remote", "engine": "openai", "source": "http://there", "context_tokens": 8000}
    price = {"prompt_per_mtok_usd": 1.0, "completion_per_mtok_usd": 2.0}
    return msgspec.convert({**stated, "price": price, **fields}, Variant)


def chat(*texts: str, **fields: Any) -> Any:
    messages = [{"role": "user", "content": text} for text in texts]
    return parse_chat(json.dumps({"messages": messages} | fields).encode(), {})


def test_without_a_budget_a_call_has_all_the_time_there_is() -> None:
    free = bound(Tenant(id="free"), variant(), chat("hi"), predicted_s=1.0, remaining_s=600.0)
    assert (free.usd, free.seconds) == (0.0, 600.0)


@given(
    texts=st.lists(st.text(min_size=1, max_size=200).filter(str.strip), min_size=1, max_size=5),
    limit=st.integers(1, 20_000),
    choices=st.integers(1, 4),
)
def test_no_answer_of_a_server_that_keeps_to_the_request_costs_more(
    texts: list[str], limit: int, choices: int
) -> None:
    request = chat(*texts, max_tokens=limit, n=choices)
    most = bound(tenant(), variant(), request, predicted_s=1.0, remaining_s=600.0)
    # One token a byte, and a template of twenty tokens a message with a system prompt of its own.
    tokens = min(8000, sum(len(text.encode()) + 20 for text in texts) + 100)
    cost_usd = variant().price.cost_usd(
        prompt_tokens=tokens, completion_tokens=min(limit, 8000) * choices, busy_s=600.0
    )
    assert most.usd >= cost_usd
    assert most.usd <= (8000 + 2 * 8000 * choices) / 1e6


def test_tools_are_part_of_the_prompt() -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": "x" * 3000, "parameters": {}}}]
    asked = {"predicted_s": 1.0, "remaining_s": 600.0}
    plain = bound(tenant(), variant(), chat("hi", max_tokens=1), **asked)
    with_tools = bound(tenant(), variant(), chat("hi", max_tokens=1, tools=tools), **asked)
    assert with_tools.usd >= plain.usd + 3000 / 1e6


def test_every_prompt_of_a_list_is_paid_for() -> None:
    body = {"prompt": ["a" * 9000, "b" * 9000], "max_tokens": 10}
    most = bound(
        tenant(), variant(), parse_completion(json.dumps(body).encode(), {}), predicted_s=1.0, remaining_s=9.0
    )
    assert most.usd == pytest.approx((16_000 + 2 * 20) / 1e6)


@pytest.mark.parametrize(
    ("predicted_s", "remaining_s", "seconds"),
    [(0.5, 600.0, LEAST_S), (20.0, 600.0, 160.0), (20.0, 30.0, 30.0), (None, 600.0, 600.0)],
)
def test_seconds_are_held_by_what_was_predicted_and_the_call_has_no_more(
    predicted_s: float | None, remaining_s: float, seconds: float
) -> None:
    paid_by_second = variant(price={"compute_per_hour_usd": 3600.0})
    most = bound(tenant(), paid_by_second, chat("hi"), predicted_s=predicted_s, remaining_s=remaining_s)
    assert (most.usd, most.seconds) == (pytest.approx(seconds), seconds)
