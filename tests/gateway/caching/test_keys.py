"""Keys of the exact cache: a tenant's own by construction."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gateway.api.parse import parse_chat
from gateway.caching.keys import exact_key
from gateway.routing.request import ValidRequest

ID = st.from_regex(r"\A[a-z0-9][a-z0-9._-]{0,20}\Z")


def of(tenant: str, text: str) -> ValidRequest:
    body = {"messages": [{"role": "user", "content": text}]}
    return replace(parse_chat(json.dumps(body).encode(), {}), tenant=tenant)


@given(one=ID, other=ID, texts=st.tuples(st.text(max_size=20), st.text(max_size=20)))
def test_no_two_tenants_and_no_two_prompts_share_a_key(one: str, other: str, texts: tuple[str, str]) -> None:
    keys = {(tenant, text): exact_key(of(tenant, text)) for tenant in (one, other) for text in texts}
    assert len(set(keys.values())) == len(keys)
    assert all(f":{tenant}:" in key for (tenant, _), key in keys.items())


@given(tenant=ID, text=st.text(max_size=20))
def test_what_is_told_to_be_another_tenants_by_the_text_is_not(tenant: str, text: str) -> None:
    assert exact_key(of(tenant, f"{tenant}:exact:{text}")).startswith(f"trilemma:cache:{tenant}:exact:")
