"""Callers that misbehave: they read slowly, or open connections and leave them half said."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import median

import pytest

from gateway.http import HEAD_TIMEOUT_S
from tests.chaos_tools import api_process, ask, background, config_over, until_true
from tests.providers import Answer, chat_events
from tests.serving import Gateway, serving

pytestmark = pytest.mark.timeout(90)


def connected(gateway: Gateway) -> socket.socket:
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)))


def took_s(gateway: Gateway) -> float:
    began_s = time.monotonic()
    assert ask(gateway) == "fine"
    return time.monotonic() - began_s


def test_two_hundred_half_open_connections_hold_up_nobody_and_are_closed(gateway: Gateway) -> None:
    alone_s = median(took_s(gateway) for _ in range(5))
    with ExitStack() as stack:
        half = [stack.enter_context(closing(connected(gateway))) for _ in range(200)]
        for number, one in enumerate(half):
            one.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost:" if number % 2 else b"")
        assert median(took_s(gateway) for _ in range(5)) < 3 * alone_s + 0.2
        api = api_process(gateway)
        until_true(lambda: len(api.net_connections("tcp")) < 50, within_s=HEAD_TIMEOUT_S + 10)


@pytest.fixture
def flood(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose variant says 60 MB without a pause."""
    long = chat_events(*["x" * 30_000] * 2000)
    with (
        background(Answer(events=long)) as provider,
        serving(tmp_path / "none", tmp_path / "gateway", config=config_over(provider)) as running,
    ):
        yield running


def test_a_caller_that_reads_slowly_fills_no_memory(flood: Gateway) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "hello"}], "stream": True}).encode()
    api = api_process(flood)
    before_bytes = api.memory_info().rss
    with closing(connected(flood)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        slow.sendall(head + body)
        for _ in range(30):
            slow.recv(1024)
            time.sleep(0.1)
        grown_bytes = api.memory_info().rss - before_bytes
        assert grown_bytes < 20_000_000, "what the caller does not take is not asked for"
        assert flood.get("/livez") == {"status": "ok"}
    until_true(lambda: not [c for c in api.net_connections("tcp") if c.status == "CLOSE_WAIT"], within_s=10)
