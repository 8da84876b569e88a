"""Bounds on the head of a request, on a real connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway import http
from tests.gateways import RunningGateway, remote, running
from tests.providers import Answer, ScriptedProvider, completion_body


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with (
        ScriptedProvider(Answer(body=completion_body("yes"))) as provider,
        running(tmp_path, remote("small", provider)) as found,
    ):
        yield found


async def said(gateway: RunningGateway, *pieces: bytes) -> bytes:
    """Everything the gateway answers to these bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gateway.url.rpartition(":")[2]))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_headers_beyond_the_bound_are_refused_with_an_error_object(gateway: RunningGateway) -> None:
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 8000) for number in range(10))
    answer = await said(gateway, b"GET /livez HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
    assert status_of(answer) == 431
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "payload_too_large"


async def test_a_header_that_never_ends_is_refused_once_it_is_too_long(gateway: RunningGateway) -> None:
    answer = await said(gateway, b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ", *[b"a" * 16_000] * 8)
    assert answer == b"" or status_of(answer) == 431, "cut, or told so"


async def test_a_long_address_is_refused(gateway: RunningGateway) -> None:
    assert status_of(await said(gateway, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")) == 431


async def test_what_is_not_http_is_told_so(gateway: RunningGateway) -> None:
    answer = await said(gateway, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    assert status_of(answer) == 400
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"


async def test_a_head_that_does_not_come_to_its_end_is_given_up(
    gateway: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "HEAD_TIMEOUT_S", 0.1)
    assert status_of(await said(gateway, b"GET /livez HTTP/1.1\r\nHos")) == 408
    assert await said(gateway) == b"", "who asks nothing is told nothing"


async def test_a_second_request_on_the_connection_has_its_own_bound(gateway: RunningGateway) -> None:
    field = b"X-Long: " + b"a" * 40_000 + b"\r\n"
    once = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n"
    last = b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + field + b"\r\n"
    assert (await said(gateway, once, last)).count(b"HTTP/1.1 200") == 2
