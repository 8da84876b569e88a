from __future__ import annotations

from collections.abc import Iterator

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import errors
from backends.client.mapping import (
    MAX_RETRY_AFTER_S,
    from_error_object,
    from_exception,
    from_response,
    kind_of,
    retry_after_s,
)

NOW_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT

KINDS = {
    errors.ConnectError: """ClientConnectorError ClientConnectorDNSError ClientProxyConnectionError ClientSSLError
        UnixClientConnectorError ClientConnectorSSLError ClientConnectorCertificateError ServerFingerprintMismatch
        InvalidURL InvalidUrlClientError InvalidUrlRedirectClientError NonHttpUrlClientError
        NonHttpUrlRedirectClientError""",
    errors.ConnectionLostError: """ClientConnectionError ClientConnectionResetError ClientOSError
        ServerConnectionError ServerDisconnectedError ClientPayloadError UploadAbortedError""",
    errors.UpstreamTimeoutError: "ServerTimeoutError ConnectionTimeoutError SocketTimeoutError",
    errors.ProtocolError: """ClientError ClientResponseError ContentTypeError WSServerHandshakeError
        ClientHttpProxyError TooManyRedirects RedirectClientError""",
}


def subclasses(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


def test_every_exception_of_the_library_is_mapped_on_purpose() -> None:
    expected = {name: ours.__name__ for ours, names in KINDS.items() for name in names.split()}
    walked = {kind for kind in subclasses(aiohttp.ClientError) if kind.__module__.startswith("aiohttp")}
    assert {kind.__name__: kind_of(kind).__name__ for kind in walked} == expected


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (TimeoutError, errors.UpstreamTimeoutError),
        (BrokenPipeError, errors.ConnectionLostError),
        (ConnectionResetError, errors.ConnectionLostError),
    ],
)
def test_the_systems_errors_are_mapped_too(raised: type[Exception], expected: type[Exception]) -> None:
    error = from_exception(raised("why"), doing="the call")
    assert type(error) is expected
    assert str(error) == "the call: why"


def test_our_own_errors_pass_unchanged() -> None:
    ours = errors.OverloadedError("busy", status=503)
    assert from_exception(ours, doing="the call") is ours


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b'{"error": {"message": "x", "code": "context_length_exceeded"}}', errors.ContextLengthError),
        (400, b'{"error": {"message": "exceeds the available context size"}}', errors.ContextLengthError),
        (400, b'{"message": "This model\'s maximum context length is 9 tokens"}', errors.ContextLengthError),
        (400, b'{"error": {"message": "bad temperature"}}', errors.BadRequestError),
        (401, b"", errors.AuthenticationError),
        (403, b"no", errors.AuthenticationError),
        (404, b'{"detail": "Not Found"}', errors.NotFoundError),
        (408, b"", errors.UpstreamTimeoutError),
        (409, b"", errors.BadRequestError),
        (413, b"too large", errors.BadRequestError),
        (413, b'{"error": {"code": "context_length_exceeded"}}', errors.ContextLengthError),
        (418, b"\xff\xfe", errors.BadRequestError),
        (429, b"[1, 2]", errors.RateLimitedError),
        (500, b'{"error": null}', errors.UpstreamServerError),
        (500, b'{"error": {"code": "context_length_exceeded"}}', errors.UpstreamServerError),
        (503, b"", errors.OverloadedError),
        (504, b'{"error": "gateway timeout"}', errors.UpstreamServerError),
        (204, b"", errors.ProtocolError),
        (307, b"", errors.ProtocolError),
    ],
)
def test_every_status_has_its_error(status: int, body: bytes, expected: type[errors.UpstreamError]) -> None:
    error = from_response(status, {}, body, now_s=NOW_S)
    assert type(error) is expected
    assert error.status == status


@given(status=st.integers(100, 999), body=st.binary(max_size=2000) | st.from_regex(rb'\{"error": .{0,40}\}'))
def test_no_status_and_no_body_is_too_strange(status: int, body: bytes) -> None:
    error = from_response(status, {"Retry-After": "soon"}, body, now_s=NOW_S)
    assert isinstance(error, errors.UpstreamError)
    assert len(str(error)) < 600
    assert "\n" not in str(error)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.dictionaries(st.sampled_from(["message", "code", "type", "detail"]), inner),
    )
)
def test_any_error_object_becomes_an_error(value: object) -> None:
    assert isinstance(from_error_object(value), errors.UpstreamError)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("0", 0.0),
        ("-3", None),
        ("soon", None),
        ("", None),
        ("²", None),
        ("9" * 400, MAX_RETRY_AFTER_S),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:50 -0000", 30.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_S),
        ("Tue, 14 Nov 2023 99:13:50 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date_and_bounded(value: str | None, expected: float | None) -> None:
    assert retry_after_s(value, now_s=NOW_S) == expected


@given(st.text(max_size=60))
def test_any_retry_after_gives_a_bounded_wait_or_none(value: str) -> None:
    wait_s = retry_after_s(value, now_s=NOW_S)
    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S


def test_a_rate_limit_says_how_long_to_wait() -> None:
    error = from_response(429, {"Retry-After": "12"}, b"", now_s=NOW_S)
    assert error.retry_after_s == 12.0
    assert error.retryable


def test_a_server_that_repeats_our_key_does_not_get_it_into_the_message() -> None:
    error = from_response(401, {}, b'{"error": {"message": "bad key sk-abc!"}}', now_s=NOW_S, secret="sk-abc")
    assert str(error) == "401: bad key [key]!"
