"""What a caller's content may cost before its quota is looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api import bounds, parse
from gateway.api.bounds import MAX_JSON_BYTES, MAX_JSON_VALUES, bound_json
from gateway.api.parse import parse_chat, parse_completion
from gateway.errors import InvalidRequestError
from gateway.tenants.types import Quotas
from tests.gateways import HELLO, behind
from tests.providers import Answer, completion_body
from tests.tenancy import bearer, with_tenant

FINE = Answer(body=completion_body("fine"))
MEGABYTES = 4 * 1024 * 1024
CHAT = b'{"messages":[{"role":"user","content":"x"}],'


def many(item: bytes) -> bytes:
    """A list of so many that they fill 4 MiB."""
    return b"[" + b",".join([item] * (MEGABYTES // (len(item) + 1))) + b"]"


HEAVY = {
    "tools": CHAT + b'"tools":' + many(b"{}") + b"}",
    "nested tools": CHAT + b'"tools":[{"a":' + many(b"[]") + b"}]}",
    "slow numbers": CHAT + b'"tools":[{"a":' + many(b"1.2345678901234567e-300") + b"}]}",
    "schema": CHAT + b'"response_format":{"type":"json_schema","json_schema":' + many(b"0") + b"}}",
    "checks": CHAT + b'"checks":[{"type":"json_schema","schema":{"a":' + many(b"0") + b"}}]}",
    "tool calls": b'{"messages":[{"role":"assistant","tool_calls":' + many(b"{}") + b"}]}",
    "messages": b'{"messages":' + many(b'{"role":"user"}') + b"}",
    "parts": b'{"messages":[{"role":"user","content":' + many(b'{"type":"text","text":""}') + b"}]}",
    "a name": CHAT + b'"' + b"a" * MEGABYTES + b'":1}',
    "few bytes, many values": CHAT + b'"tools":[{"a":[' + b"0," * (MAX_JSON_VALUES + 1) + b"0]}]}",
}


@pytest.mark.parametrize("body", HEAVY.values(), ids=HEAVY)
def test_a_body_that_is_heavy_besides_its_texts_is_not_decoded(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """They took the event loop for up to 2.3 s each, whatever the quota."""
    monkeypatch.setattr(parse.msgspec.json, "Decoder", None)
    monkeypatch.setattr(parse, "_decoders", {parse.ChatBody: Untouched()})
    with pytest.raises(InvalidRequestError) as caught:
        parse_chat(body, {})
    assert caught.value.param == "body"


class Untouched:
    """A decoder that must not be used."""

    def decode(self, body: bytes) -> Any:
        raise AssertionError("the body is decoded")


def test_texts_of_any_length_and_punctuation_pass() -> None:
    text = "a, [b], {c}: " * 100_000
    parts = [{"type": "text", "text": text}, {"type": "text", "text": text}]
    for content in (text, parts):
        body = json.dumps({"messages": [{"role": "user", "content": content}, {"role": "assistant"}]}).encode()
        assert text in parse_chat(body, {}).prompt
    assert parse_completion(json.dumps({"prompt": [text, text]}).encode(), {}).turns == 2


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8), st.integers(0, 400))
def test_what_counts_is_what_is_not_text(texts: list[str], beside: int) -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    body = json.dumps({"messages": messages, "tools": [{"a": "b" * beside}]}).encode()
    besides = len(body) - sum(len(json.dumps(text)) for text in texts)
    with pytest.MonkeyPatch.context() as patched:
        for most in (besides, besides - 1):
            patched.setattr(bounds, "MAX_JSON_BYTES", most)
            if most == besides:
                bound_json(body)
            else:
                with pytest.raises(InvalidRequestError):
                    bound_json(body)


def test_an_error_repeats_little_of_what_was_sent() -> None:
    for body in (CHAT + b'"' + b"a" * (MAX_JSON_BYTES - 100) + b'":1}', CHAT + b'"model":"' + b"m" * 1000 + b'"}'):
        with pytest.raises(InvalidRequestError) as caught:
            parse_chat(body, {})
        assert len(caught.value.message) + len(caught.value.param or "") < 1500
    with pytest.raises(InvalidRequestError) as caught:
        parse_chat(json.dumps(HELLO).encode(), {"x-priority": "a" * 60_000})
    assert len(caught.value.message) < 1000


async def test_who_has_no_request_left_is_refused_before_the_body_is_read(tmp_path: Path) -> None:
    async with behind(tmp_path, FINE) as (gateway, [provider]):
        key = bearer(await with_tenant(gateway, "shop", quotas=Quotas(requests_per_min=1)))
        statuses = []
        for body in (json.dumps(HELLO).encode(), json.dumps(HELLO).encode(), b"{"):
            for path in ("chat/completions", "embeddings") if body == b"{" else ("chat/completions",):
                async with gateway.session.post(f"{gateway.url}/v1/{path}", data=body, headers=key) as reply:
                    statuses.append(reply.status)
                    told = reply.headers.get("X-RateLimit-Remaining-Requests")
        assert (statuses, told) == ([200, 429, 429, 429], "0")
        assert gateway.services.limiter.turned_away == {"shop": 2}
        assert len(provider.requests) == 1


async def test_the_form_to_sign_in_is_bounded(tmp_path: Path) -> None:
    async with behind(tmp_path, FINE) as (gateway, _):
        await with_tenant(gateway, "shop")
        body, form = b"key=" + b"%41" * 100_000, {"Content-Type": "application/x-www-form-urlencoded"}
        async with gateway.session.post(f"{gateway.url}/console/login", data=body, headers=form) as reply:
            assert reply.status == 413
