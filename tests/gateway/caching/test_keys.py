"""What is the same request: by everything that changes its answer, and by whose it is."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.api.parse import parse_chat, parse_completion
from gateway.caching.keys import PREFIX, exact_key, partition_key
from gateway.routing.request import ValidRequest

TENANTS = st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,12}\Z")
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text(max_size=8)},
        optional={"name": st.text(max_size=3)},
    ),
    min_size=1,
    max_size=3,
)
BODIES = st.fixed_dictionaries(
    {"messages": MESSAGES},
    optional={
        "model": st.sampled_from(["auto", "small"]),
        "temperature": st.sampled_from([0, 0.5, 1]),
        "max_tokens": st.integers(1, 3),
        "seed": st.integers(0, 2),
        "stop": st.sampled_from(["a", ["a"], ["a", "b"]]),
        "logit_bias": st.dictionaries(st.sampled_from(["1", "2"]), st.sampled_from([1, 1.5])),
        "n": st.integers(1, 2),
    },
)


def read(body: dict[str, Any], *, tenant: str = "a") -> ValidRequest:
    return replace(parse_chat(json.dumps(body).encode(), {}), tenant=tenant)


def shuffled(value: Any) -> Any:
    """The same JSON with the keys of every object turned around."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(body=BODIES)
def test_the_order_of_keys_and_the_form_of_numbers_change_nothing(body: dict[str, Any]) -> None:
    other = shuffled(body)
    if "temperature" in other:
        other["temperature"] = float(other["temperature"])
    assert exact_key(read(body)) == exact_key(read(other))


@given(one=BODIES, other=BODIES)
def test_different_requests_have_different_keys(one: dict[str, Any], other: dict[str, Any]) -> None:
    assume(read(one).payload != read(other).payload or read(one).model != read(other).model)
    assert exact_key(read(one)) != exact_key(read(other))


@given(body=BODIES, more=BODIES, one=TENANTS, other=TENANTS)
def test_no_two_tenants_ever_share_a_key(body: dict[str, Any], more: dict[str, Any], one: str, other: str) -> None:
    assume(one != other)
    mine, theirs = read(body, tenant=one), read(more, tenant=other)
    for key in (exact_key(mine), partition_key(mine, embedder="m") or f"{PREFIX}:{one}:"):
        assert key.startswith(f"{PREFIX}:{one}:")
        assert not key.startswith(f"{PREFIX}:{other}:")
    assert exact_key(mine).rpartition(":")[2] != exact_key(replace(mine, tenant=other)).rpartition(":")[2]
    assert exact_key(mine) != exact_key(theirs)


@given(body=BODIES)
def test_how_an_answer_is_delivered_changes_nothing(body: dict[str, Any]) -> None:
    more = {"stream": True, "stream_options": {"include_usage": True}, "user": "x", "metadata": {"a": "b"}}
    hints = {"priority": "speed", "slo": {"latency_s": 3}, "service_tier": "flex", "cache": {"ttl_s": 3}}
    assert exact_key(read(body)) == exact_key(read(body | more | hints))


def test_the_order_of_a_schemas_properties_is_part_of_the_request() -> None:
    forms = [
        {"type": "json_schema", "json_schema": {"name": "x", "schema": {"properties": {a: {}, b: {}}}}}
        for a, b in ("xy", "yx")
    ]
    bodies = [{"messages": [{"role": "user", "content": "x"}], "response_format": form} for form in forms]
    assert exact_key(read(bodies[0])) != exact_key(read(bodies[1]))


def test_a_chat_and_a_completion_are_never_the_same() -> None:
    completion = replace(parse_completion(b'{"prompt": "x"}', {}), tenant="a")
    assert exact_key(completion) != exact_key(read({"messages": [{"role": "user", "content": "x"}]}))
    assert partition_key(completion, embedder="m") is None


@given(body=BODIES, text=st.text(max_size=8))
def test_only_how_the_last_message_is_put_may_differ_within_a_partition(body: dict[str, Any], text: str) -> None:
    last = body["messages"][-1] | {"content": text}
    other = body | {"messages": [*body["messages"][:-1], last]}
    mine, theirs = (partition_key(read(b), embedder="m") for b in (body, other))
    assert mine == theirs
    assert (mine is None) == (last["role"] != "user")
    assert mine is None or mine != partition_key(read(body), embedder="other")
    longer = {"messages": [{"role": "system", "content": "!"}, *body["messages"]]}
    assert mine is None or mine != partition_key(read(body | longer), embedder="m")
