"""Everything that can go wrong behind the gateway.

BackendError
├── SourceError                 a model file could not be had
│   ├── HashMismatchError       it came, and is not the file that was promised
│   └── OfflineError            it is not here and the network is not to be used
├── BuildError                  a recipe failed; the previous build is untouched
│   └── DiskFullError           no room for it
├── EngineError                 the inference library failed
│   └── MissingExtraError       the library is not installed; names the extra
└── UpstreamError               a call to a variant failed          (retryable as marked)
    ├── ConnectError            no connection                       retryable
    ├── ConnectionLostError     cut before the answer was complete  retryable
    ├── UpstreamTimeoutError    no answer, or no token, in time     retryable
    ├── RateLimitedError        429                                 retryable
    ├── OverloadedError         503                                 retryable
    ├── UpstreamServerError     any other 5xx                       retryable
    ├── ContextLengthError      prompt too long for this variant
    ├── BadRequestError         any other 4xx
    ├── AuthenticationError     401 or 403: our key, not the caller's
    ├── NotFoundError           404: that server does not know the model
    └── ProtocolError           an answer we cannot read            retryable
"""

from __future__ import annotations

from typing import ClassVar

__all__ = (
    "AuthenticationError",
    "BackendError",
    "BadRequestError",
    "BuildError",
    "ConnectError",
    "ConnectionLostError",
    "ContextLengthError",
    "DiskFullError",
    "EngineError",
    "HashMismatchError",
    "MissingExtraError",
    "NotFoundError",
    "OfflineError",
    "OverloadedError",
    "ProtocolError",
    "RateLimitedError",
    "SourceError",
    "UpstreamError",
    "UpstreamServerError",
    "UpstreamTimeoutError",
)


class BackendError(Exception):
    """Root of the tree."""

    error_type: ClassVar[str] = "backend_error"
    """Stable lower-case name, also a metric label."""
    retryable: ClassVar[bool] = False
    """Whether the same call may succeed elsewhere or later."""


class SourceError(BackendError):
    """A model file could not be had."""

    error_type = "source_error"


class HashMismatchError(SourceError):
    """The file is not the one that was promised; it was deleted."""

    error_type = "hash_mismatch"

    def __init__(self, *, what: str, expected: str, found: str) -> None:
        super().__init__(f"{what} has sha256 {found}, expected {expected}")


class OfflineError(SourceError):
    """The file is not here, and the network may not be used or does not answer."""

    error_type = "offline"


class BuildError(BackendError):
    """A recipe failed; the build that was there before is untouched."""

    error_type = "build_error"


class DiskFullError(BuildError):
    """There is no room for the build."""

    error_type = "disk_full"


class EngineError(BackendError):
    """The inference library failed."""

    error_type = "engine_error"


class MissingExtraError(EngineError):
    """The engine's library is not installed."""

    error_type = "missing_extra"

    def __init__(self, *, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'trilemma[{extra}]'")


class UpstreamError(BackendError):
    """A call to a variant failed."""

    error_type = "upstream_error"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        """HTTP status, where one was received."""
        self.retry_after_s = retry_after_s
        """Seconds the server asked us to wait."""
        self.code = code
        """What the server calls the error, where it has a name for it."""


class ConnectError(UpstreamError):
    """No connection could be made."""

    error_type = "connect_error"
    retryable = True


class ConnectionLostError(UpstreamError):
    """The connection was cut before the answer was complete."""

    error_type = "connection_lost"
    retryable = True


class UpstreamTimeoutError(UpstreamError):
    """No answer, or no further token, came in time."""

    error_type = "upstream_timeout"
    retryable = True


class RateLimitedError(UpstreamError):
    """The server answered 429."""

    error_type = "upstream_rate_limited"
    retryable = True


class OverloadedError(UpstreamError):
    """The server answered 503."""

    error_type = "upstream_overloaded"
    retryable = True


class UpstreamServerError(UpstreamError):
    """The server answered another 5xx, or an error event in its stream."""

    error_type = "upstream_server_error"
    retryable = True


class ContextLengthError(UpstreamError):
    """Prompt and answer do not fit this variant's context."""

    error_type = "context_length_exceeded"


class BadRequestError(UpstreamError):
    """The server refused the request."""

    error_type = "upstream_bad_request"


class AuthenticationError(UpstreamError):
    """The server refused our key."""

    error_type = "upstream_authentication"


class NotFoundError(UpstreamError):
    """The server does not know the model."""

    error_type = "upstream_not_found"


class ProtocolError(UpstreamError):
    """The server's answer cannot be read."""

    error_type = "upstream_protocol"
    retryable = True
