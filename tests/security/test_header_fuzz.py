"""Any bytes in any header that is read: an answer that is no server error, and the connection stays in order."""

from __future__ import annotations

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.serving import Gateway

pytestmark = pytest.mark.timeout(60)

READ = (
    b"authorization",
    b"x-api-key",
    b"x-priority",
    b"x-slo-ttft-ms",
    b"x-slo-latency-ms",
    b"x-max-cost-usd",
    b"x-min-quality",
    b"x-tags",
    b"x-request-id",
    b"x-trilemma-explain",
    b"traceparent",
    b"tracestate",
    b"x-forwarded-for",
    b"forwarded",
    b"content-type",
    b"accept",
    b"host",
    b"cookie",
)
BODY = b'{"messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}'

ABSURD = st.sampled_from(
    [
        b"' OR 1=1; DROP TABLE tenants; --",
        b"Bearer ",
        b"Bearer " + b"a" * 20_000,
        b"{{7*7}}${jndi:ldap://127.0.0.1/a}",
        b"../../../../etc/passwd",
        b'{"speed": 1e999}',
        b"-1",
        b"nan",
        b"1" * 400,
        b"00-" + b"f" * 32 + b"-" + b"0" * 16 + b"-01",
        "Bearer ключ".encode(),
        b"\xff\xfe",
    ]
)
VALUE = ABSURD | st.binary(max_size=200).map(lambda b: bytes(c for c in b if c >= 0x20 or c == 0x09))
HEADERS = st.lists(st.tuples(st.sampled_from(READ), VALUE), min_size=1, max_size=6)


@settings(max_examples=300)
@given(headers=HEADERS, path=st.sampled_from([b"/v1/chat/completions", b"/v1/models", b"/v1/feedback", b"/livez"]))
def test_no_header_makes_a_server_error(gateway: Gateway, headers: list[tuple[bytes, bytes]], path: bytes) -> None:
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    post = path != b"/livez" and path != b"/v1/models"
    sent = (b"POST " if post else b"GET ") + path + b" HTTP/1.1\r\nConnection: close\r\n" + lines
    body = BODY if post else b""
    answer = said(gateway, sent + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 ")
    assert int(answer[9:12]) < 500, answer


def said(gateway: Gateway, request: bytes) -> bytes:
    """Everything answered until the connection is closed."""
    host, _, port = gateway.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        answer = bytearray()
        while piece := connection.recv(65536):
            answer += piece
    return bytes(answer)
