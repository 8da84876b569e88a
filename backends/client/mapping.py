"""Every way a call can fail, mapped into the `UpstreamError` tree. The only place that knows aiohttp's exceptions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec

from backends.errors import (
    AuthenticationError,
    BadRequestError,
    ConnectError,
    ConnectionLostError,
    ContextLengthError,
    NotFoundError,
    OverloadedError,
    ProtocolError,
    RateLimitedError,
    UpstreamError,
    UpstreamServerError,
    UpstreamTimeoutError,
)

__all__ = ("MAX_RETRY_AFTER_S", "from_error_object", "from_exception", "from_response", "kind_of", "retry_after_s")

MAX_RETRY_AFTER_S = 3600.0
"""A server that asks for longer is taken to mean this."""

_MESSAGE_CHARACTERS = 500
_NAME_CHARACTERS = 64
_BY_STATUS: dict[int, type[UpstreamError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    408: UpstreamTimeoutError,
    429: RateLimitedError,
    503: OverloadedError,
}
_BY_EXCEPTION: tuple[tuple[type[BaseException], type[UpstreamError]], ...] = (
    # The first that fits wins, so subclasses stand before their bases.
    (TimeoutError, UpstreamTimeoutError),
    (aiohttp.ClientConnectorError, ConnectError),
    (aiohttp.ServerFingerprintMismatch, ConnectError),
    (aiohttp.InvalidURL, ConnectError),
    (aiohttp.NonHttpUrlClientError, ConnectError),
    (aiohttp.ClientResponseError, ProtocolError),
    (aiohttp.ClientConnectionError, ConnectionLostError),
    (aiohttp.ClientPayloadError, ConnectionLostError),
    (aiohttp.UploadAbortedError, ConnectionLostError),
    (aiohttp.ClientError, ProtocolError),
    (OSError, ConnectionLostError),
)
_NAMED: dict[str, type[UpstreamError]] = {
    "context_length_exceeded": ContextLengthError,
    "content_filter": BadRequestError,
    "content_policy_violation": BadRequestError,
}
"""What an error inside a stream is, which has no status."""
_CONTEXT_LENGTH = re.compile(r"context[ _](length|size|window)|maximum context", re.IGNORECASE)


def from_exception(error: BaseException, *, doing: str) -> UpstreamError:
    """The error to raise for what aiohttp, the system or a deadline raised.

    Args:
        error: What was raised.
        doing: What was being done, for the message.
    """
    if isinstance(error, UpstreamError):
        return error
    kind = kind_of(type(error))
    # Never repr(error): it prints the request's headers, the key among them.
    return kind(f"{doing}: {str(error) or type(error).__name__}"[:_MESSAGE_CHARACTERS])


def kind_of(raised: type[BaseException]) -> type[UpstreamError]:
    """Our class for one of aiohttp's or the system's."""
    return next((ours for theirs, ours in _BY_EXCEPTION if issubclass(raised, theirs)), ConnectionLostError)


def from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, now_s: float, secret: str | None = None
) -> UpstreamError:
    """The error to raise for an answer that is not a 200.

    Args:
        status: HTTP status.
        headers: Answer headers; only `Retry-After` is read.
        body: An OpenAI error object, or anything.
        now_s: Unix time, to read a `Retry-After` that is a date.
        secret: Our key, blotted out should the server repeat it.
    """
    message, code = _read_body(body)
    message = _clean(message, secret) or "no explanation"
    return _kind(status, code, message)(
        f"{status}: {message}",
        status=status,
        retry_after_s=retry_after_s(headers.get("Retry-After"), now_s=now_s),
        code=_name(code),
    )


def from_error_object(error: object, *, secret: str | None = None) -> UpstreamError:
    """The error to raise for `{"error": …}` inside a stream or in a 200 answer."""
    message, code = _read_error(error)
    message = _clean(message, secret) or "the server reported an error without saying which"
    status = code if isinstance(code, int) and 400 <= code <= 599 else None
    kind = _NAMED.get(code) if isinstance(code, str) else None
    if kind is None:
        kind = _kind(status, code, message) if status is not None else UpstreamServerError
    return kind(message, status=status, code=_name(code))


def retry_after_s(value: str | None, *, now_s: float) -> float | None:
    """Seconds to wait by a `Retry-After` header, in [0, `MAX_RETRY_AFTER_S`]; None when absent or unreadable."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.replace(".", "", 1).isdigit():
        wait_s = float(value)
    else:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        wait_s = (moment - datetime.fromtimestamp(now_s, tz=UTC)).total_seconds()
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)


def _kind(status: int, code: object, message: str) -> type[UpstreamError]:
    if status in (400, 413, 422) and (code == "context_length_exceeded" or _CONTEXT_LENGTH.search(message)):
        return ContextLengthError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return UpstreamServerError
    return BadRequestError if status >= 400 else ProtocolError


def _name(code: object) -> str | None:
    """The server's own name for the error, where it says more than the kind of it."""
    named = isinstance(code, str) and code != "invalid_request_error"
    return str(code)[:_NAME_CHARACTERS] if named else None


def _read_body(body: bytes) -> tuple[str, object]:
    try:
        reply = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace"), None
    if isinstance(reply, dict) and (error := reply.get("error")):
        return _read_error(error)
    # FastAPI's `detail` and the bare `message` of older vLLM releases.
    return _read_error(reply)


def _read_error(error: object) -> tuple[str, object]:
    if not isinstance(error, dict):
        return str(error), None
    message = error.get("message") or error.get("detail") or ""
    return str(message), error.get("code") or error.get("type")


def _clean(message: str, secret: str | None) -> str:
    if secret:
        message = message.replace(secret, "[key]")
    return " ".join(message.split())[:_MESSAGE_CHARACTERS]
