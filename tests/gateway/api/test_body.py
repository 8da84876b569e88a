"""Bounds on a body that are not bounds on its bytes."""

from __future__ import annotations

import json

import pytest

from gateway.api.parse import parse_chat
from gateway.errors import InvalidRequestError


def test_a_conversation_has_so_many_messages_at_most() -> None:
    messages = [{"role": "user", "content": "x"}] * 2048
    assert parse_chat(json.dumps({"messages": messages}).encode(), {}).turns == 2048
    with pytest.raises(InvalidRequestError) as caught:
        parse_chat(json.dumps({"messages": [*messages, messages[0]]}).encode(), {})
    assert caught.value.param == "messages"
