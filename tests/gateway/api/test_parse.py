from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.body import MAX_NESTING
from gateway.api.openapi import _BODIES
from gateway.api.parse import _CHOICES, decode_body, parse_chat, parse_completion
from gateway.api.wire import ChatBody, CompletionBody, FeedbackBody
from gateway.errors import InvalidRequestError
from gateway.routing.request import ValidRequest
from policies.objective import Limits, Weights

MESSAGES = [{"role": "user", "content": "hello"}]


def chat(headers: dict[str, str] | None = None, /, **fields: Any) -> ValidRequest:
    return parse_chat(json.dumps({"messages": MESSAGES, **fields}).encode(), headers or {})


BAD_FIELDS = [
    ({"temperatur": 1}, "temperatur", "unknown field `temperatur`"),
    ({"messages": []}, "messages", "length >= 1"),
    ({"messages": "hi"}, "messages", "Expected `array`, got `str`"),
    ({"messages": [{"role": "usr", "content": "x"}]}, "messages[0].role", "system, developer, user, assistant, tool"),
    ({"messages": [{"role": "user", "content": "x", "nam": 1}]}, "messages[0].nam", "unknown field"),
    ({"messages": [*MESSAGES, {"content": "x"}]}, "messages[1].role", "missing required field `role`"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "text": ""}]}]},
        "messages[0].content[0].type",
        "expected one of: text ",
    ),
    ({"max_tokens": -1}, "max_tokens", "Expected `int` >= 1"),
    ({"max_tokens": 10**30}, "max_tokens", "<= 1000000"),
    ({"max_tokens": "12"}, "max_tokens", "Expected `int"),
    ({"max_completion_tokens": 0}, "max_completion_tokens", "Expected `int` >= 1"),
    ({"temperature": 2.5}, "temperature", "<= 2"),
    ({"top_p": 0}, "top_p", "> 0"),
    ({"n": 17}, "n", "<= 16"),
    ({"model": ""}, "model", "length >= 1"),
    ({"stop": ["a", 1]}, "stop[1]", "Expected `str`, got `int`"),
    ({"stream": "yes"}, "stream", "Expected `bool"),
    ({"stream_options": {"include_usage": True}}, "stream_options", "needs stream: true"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "text, json_object, json_schema"),
    ({"priority": "fast"}, "priority", "speed, cost, accuracy, balanced, weights on"),
    ({"priority": {"sped": 1}}, "priority.sped", "unknown field"),
    ({"priority": {"speed": -1}}, "priority.speed", ">= 0"),
    ({"priority": {"speed": 0}}, "priority", "above 0"),
    ({"slo": {"ttft": 1}}, "slo.ttft", "unknown field"),
    ({"slo": {"ttft_s": 0}}, "slo.ttft_s", "> 0"),
    ({"slo": {"min_quality": 1.1}}, "slo.min_quality", "<= 1"),
    ({"service_tier": "gold"}, "service_tier", "auto, default, flex, priority"),
    ({"cache": {"mode": "never"}}, "cache.mode", "default, no-cache, no-store"),
    ({"metadata": {"a": "x" * 513}}, "metadata[...]", "length <= 512"),
    ({"checks": [{"type": "regexp", "pattern": "a"}]}, "checks[0].type", "one of: regex, exact, json_schema"),
    ({"checks": [{"pattern": "a"}]}, "checks[0].type", "missing required field `type`"),
    ({"checks": [{"type": "regex", "patern": "a"}]}, "checks[0].patern", "unknown field"),
    ({"checks": [{"type": "regex", "pattern": "a" * 513}]}, "checks[0].pattern", "length <= 512"),
    ({"checks": [{"type": "exact", "answer": []}]}, "checks[0].answer", "length >= 1"),
    ({"checks": [{"type": "json_schema", "schema": {"a": "x" * 16_000}}] * 5}, "checks", "65536 bytes together"),
    ({"checks": [{"type": "json_schema", "schema": {"a": "x" * 20_000}}]}, "checks[0]", "larger than 16384 bytes"),
    ({"checks": [{"type": "json_schema", "schema": {}, "place": "here"}]}, "checks[0].place", "whole, anywhere"),
    ({"checks": [{"type": "exact", "answer": "a"}] * 9}, "checks", "length <= 8"),
]


@pytest.mark.parametrize(
    ("fields", "param", "expected"), BAD_FIELDS, ids=[f"{i}-{b[1]}" for i, b in enumerate(BAD_FIELDS)]
)
def test_a_bad_field_is_named_by_its_path_with_what_was_expected(
    fields: dict[str, Any], param: str, expected: str
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        chat(**fields)
    assert caught.value.param == param
    assert expected in caught.value.message


@pytest.mark.parametrize(
    ("header", "value", "expected"),
    [
        ("x-priority", "fast", "speed, cost, accuracy, balanced"),
        ("x-priority", '{"sped": 1}', "unknown field `sped`"),
        ("x-priority", '{"speed": ', "truncated"),
        ("x-slo-ttft-ms", "-4", "> 0"),
        ("x-slo-ttft-ms", "soon", "Expected `float`"),
        ("x-slo-latency-ms", "0", "> 0"),
        ("x-max-cost-usd", "nan", "Expected `float`"),
        ("x-max-cost-usd", "inf", "<="),
        ("x-min-quality", "2", "<= 1"),
    ],
)
def test_a_bad_hint_header_is_named(header: str, value: str, expected: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        chat({header: value})
    assert caught.value.param == header.title()
    assert caught.value.message.startswith(f"header {header.title()}: ")
    assert expected in caught.value.message


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nul", b'{"prompt": [}', b'{"prompt": "\xff"}', b'{"prompt": "a"} 2', b"\x00", b"[" * 100_000],
)
def test_what_is_not_json_is_refused_without_a_path(body: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        parse_completion(body, {})
    assert caught.value.param is None
    assert "JSON" in caught.value.message or "Expected `object`" in caught.value.message


def parsed(
    parse: Callable[[bytes, dict[str, str]], ValidRequest], body: bytes, headers: dict[str, str]
) -> ValidRequest | InvalidRequestError:
    try:
        return parse(body, headers)
    except InvalidRequestError as error:
        return error


@pytest.mark.parametrize(
    ("depth", "kind"), [(60, ValidRequest), (100, InvalidRequestError), (100_000, InvalidRequestError)]
)
def test_deep_nesting_is_refused_and_never_breaks(depth: int, kind: type) -> None:
    nested = b'{"messages":[{"role":"user"}],"tools":[{"a":' + b"[" * depth + b"]" * depth + b"}]}"
    assert isinstance(parsed(parse_chat, nested, {}), kind)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_request_or_a_refusal(body: bytes) -> None:
    for parse in (parse_chat, parse_completion):
        assert isinstance(parsed(parse, body, {}), ValidRequest | InvalidRequestError)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = [*ChatBody.__struct_fields__, *CompletionBody.__struct_fields__]


@given(
    st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=6),
    st.dictionaries(
        st.sampled_from(["x-priority", "x-slo-ttft-ms", "x-max-cost-usd", "x-min-quality", "traceparent"]),
        st.text(max_size=12),
    ),
)
def test_any_values_in_known_places_give_a_request_or_a_refusal(
    body: dict[str, Any], headers: dict[str, str]
) -> None:
    for parse, needed in ((parse_chat, {"messages": MESSAGES}), (parse_completion, {"prompt": "x"})):
        request = parsed(parse, json.dumps(needed | body).encode(), headers)
        if isinstance(request, ValidRequest):
            msgspec.json.encode(request.payload)


def test_every_choice_of_a_body_can_be_told() -> None:
    found: dict[str, tuple[Any, ...]] = {}

    def walk(info: msgspec.inspect.Type, path: str) -> None:
        if isinstance(info, msgspec.inspect.LiteralType):
            found[path] = info.values
        elif isinstance(info, msgspec.inspect.EnumType):
            found[path] = tuple(info.cls)
        elif isinstance(info, msgspec.inspect.StructType):
            if info.tag is not None:
                found[f"{path}.{info.tag_field}"] = (*found.get(f"{path}.{info.tag_field}", ()), info.tag)
            for field in info.fields:
                walk(field.type, f"{path}.{field.encode_name}".lstrip("."))
        for inner in (getattr(info, "type", None), getattr(info, "item_type", None), *getattr(info, "types", ())):
            if inner is not None:
                walk(inner, path)

    for body in _BODIES:
        walk(msgspec.inspect.type_info(body), "")
    told = {path: {value for value in values if "weights" not in value} for path, values in _CHOICES.items()}
    assert told == {path: set(values) for path, values in found.items()}


def test_slo_headers_are_read_in_their_units() -> None:
    headers = {"x-slo-ttft-ms": "250", "x-slo-latency-ms": "4e3", "x-max-cost-usd": "0.01", "x-min-quality": "0.5"}
    assert chat(headers).limits == Limits(ttft_s=0.25, latency_s=4.0, max_cost_usd=0.01, min_quality=0.5)


def test_the_body_wins_over_headers_field_by_field() -> None:
    headers = {"x-slo-ttft-ms": "250", "x-max-cost-usd": "1", "x-priority": "cost"}
    request = chat(headers, slo={"ttft_s": 3}, priority="speed")
    assert request.limits == Limits(ttft_s=3, max_cost_usd=1)
    assert request.priority == "speed"
    assert chat(headers).priority == "cost"


def test_weights_can_come_in_body_and_header() -> None:
    assert chat(priority={"speed": 1, "cost": 2}).priority == Weights(speed=1, cost=2)
    assert chat({"x-priority": ' {"accuracy": 1}'}).priority == Weights(accuracy=1)


def test_only_openai_fields_that_were_given_reach_the_variant() -> None:
    request = chat(model="x", priority="speed", slo={"ttft_s": 1}, temperature=0, stream=True, user="u", metadata={})
    assert set(request.payload) == {"messages", "temperature"}


@pytest.mark.parametrize(
    ("fields", "needs"),
    [
        ({}, set()),
        ({"tools": [{"type": "function"}]}, {"tools"}),
        ({"response_format": {"type": "text"}}, set()),
        ({"response_format": {"type": "json_object"}}, {"json_schema"}),
        ({"logprobs": True}, {"logprobs"}),
    ],
)
def test_what_a_request_needs_follows_from_its_fields(fields: dict[str, Any], needs: set[str]) -> None:
    assert chat(**fields).needs == needs


def test_answers_asked_for_are_counted_over_prompts_and_n() -> None:
    assert chat(n=3).choices == 3
    assert parse_completion(b'{"prompt": ["a", "b"], "n": 2}', {}).choices == 4


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4))
def test_the_lower_bound_of_a_prompt_is_below_its_estimate(texts: list[str]) -> None:
    request = chat(messages=[{"role": "user", "content": text} for text in texts])
    assert 1 <= request.min_prompt_tokens <= request.prompt_tokens
    assert request.prompt_bytes >= sum(len(text.encode()) for text in texts)


def test_feedback_scores_lie_between_zero_and_one() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        decode_body(b'{"decision_id": "dec_1", "score": 1.5}', FeedbackBody)
    assert caught.value.param == "score"


def test_tags_come_from_the_header_and_the_metadata_wins() -> None:
    request = chat({"x-tags": "team=search, env=test ,beta"}, metadata={"team": "legal"})
    assert request.tags == {"team": "legal", "env": "test", "beta": ""}
    assert chat().tags == {}


def test_a_nameless_tag_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="X-Tags") as caught:
        chat({"x-tags": "=search"})
    assert caught.value.param == "X-Tags"


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.mark.parametrize(
    ("asked", "schema"),
    [
        (None, None),
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "object"}),
        ({"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}, CITY),
        ({"type": "json_schema", "json_schema": {"schema": {"a": "x" * 20_000}}}, None),
        ({"type": "json_schema", "json_schema": {"schema": 3}}, None),
    ],
)
def test_the_form_that_was_asked_for_is_checked_where_it_can_be(asked: Any, schema: Any) -> None:
    form = chat(**({} if asked is None else {"response_format": asked})).form
    assert (None if form is None else form.schema) == schema


def test_checks_stay_with_us() -> None:
    checks = [{"type": "regex", "pattern": "Paris"}, {"type": "exact", "answer": ["Paris", "paris"], "name": "city"}]
    request = chat(checks=checks)
    assert [check.name for check in request.checks] == ["regex", "city"]
    assert "checks" not in request.payload


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("tools", lambda deep: {"tools": [deep]}),
        ("tool_choice", lambda deep: {"tool_choice": deep}),
        (
            "response_format.json_schema",
            lambda deep: {"response_format": {"type": "json_schema", "json_schema": deep}},
        ),
        ("messages[0].tool_calls", lambda deep: {"messages": [{"role": "assistant", "tool_calls": [deep]}]}),
    ],
)
def test_what_nests_too_deep_is_refused_by_its_name(field: str, make: Any) -> None:
    deep = json.loads('{"a":' * (MAX_NESTING + 1) + "1" + "}" * (MAX_NESTING + 1))
    body = {"messages": [{"role": "user", "content": "x"}]} | make(deep)
    with pytest.raises(InvalidRequestError) as caught:
        parse_chat(json.dumps(body).encode(), {})
    assert caught.value.param == field
