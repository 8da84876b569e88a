"""Every error a caller can see, and the one place where failures behind the gateway become one.

    ApiError                        status  type
    ├── InvalidRequestError         400     invalid_request_error
    │   └── ContextLengthError      400     invalid_request_error, code context_length_exceeded
    ├── AuthenticationError         401     authentication_error
    ├── ForbiddenError              403     permission_error
    ├── ModelNotFoundError          404     model_not_found
    ├── NotFoundError               404     not_found
    ├── DeadlineError               408     timeout
    ├── PayloadTooLargeError        413     payload_too_large
    ├── RateLimitError              429     rate_limit_exceeded
    ├── QuotaError                  429     insufficient_quota
    ├── InternalError               500     server_error
    ├── UpstreamFailedError         502     upstream_error
    └── UnavailableError            503     overloaded
        └── RestartingError         503     overloaded, code restarting

The types are a closed vocabulary: they double as the metric label and as `error_type` in the decision log.
"""

from __future__ import annotations

import math
from typing import ClassVar

import msgspec

from backends import errors as backend
from backends.protocol import ErrorBody, ErrorReply

__all__ = (
    "ApiError",
    "AuthenticationError",
    "ContextLengthError",
    "DeadlineError",
    "ForbiddenError",
    "InternalError",
    "InvalidRequestError",
    "ModelNotFoundError",
    "NotFoundError",
    "PayloadTooLargeError",
    "QuotaError",
    "RateLimitError",
    "RestartingError",
    "UnavailableError",
    "UpstreamFailedError",
    "from_backend",
)

_encoder = msgspec.json.Encoder()


class ApiError(Exception):
    """Root of the tree; renders as OpenAI's error object."""

    status: ClassVar[int] = 500
    error_type: ClassVar[str] = "server_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        """Path of the field to blame, such as `messages[0].role`."""
        self.code = code
        """A narrower name than the type, where there is one."""
        self.headers: dict[str, str] = {}
        """Headers of the answer; handlers add those that tell what was tried."""
        if retry_after_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))

    def to_json(self) -> bytes:
        """The error object, as a body or as an event inside a stream."""
        body = ErrorBody(message=self.message, type=self.error_type, param=self.param, code=self.code)
        return _encoder.encode(ErrorReply(error=body))


class InvalidRequestError(ApiError):
    """The request cannot be served as it is; `param` names the field."""

    status = 400
    error_type = "invalid_request_error"


class ContextLengthError(InvalidRequestError):
    """Prompt and answer fit no variant that may serve the request."""

    def __init__(self, message: str) -> None:
        super().__init__(message, param="messages", code="context_length_exceeded")


class AuthenticationError(ApiError):
    """No key, or none that is in force."""

    status = 401
    error_type = "authentication_error"


class ForbiddenError(ApiError):
    """The key is in force, and may not do this."""

    status = 403
    error_type = "permission_error"


class ModelNotFoundError(ApiError):
    """No variant or alias has this name."""

    status = 404
    error_type = "model_not_found"

    def __init__(self, model: str, *, known: list[str]) -> None:
        super().__init__(
            f"model `{model}` does not exist; known models: {', '.join(known)}", param="model", code="model_not_found"
        )


class NotFoundError(ApiError):
    """No such route or object."""

    status = 404
    error_type = "not_found"


class DeadlineError(ApiError):
    """No answer within the request's time."""

    status = 408
    error_type = "timeout"


class PayloadTooLargeError(ApiError):
    """The body is over the configured limit."""

    status = 413
    error_type = "payload_too_large"


class RateLimitError(ApiError):
    """Too many requests or tokens for now; `Retry-After` says when there is room."""

    status = 429
    error_type = "rate_limit_exceeded"


class QuotaError(ApiError):
    """The tenant's budget of this period does not have what the request may cost."""

    status = 429
    error_type = "insufficient_quota"


class InternalError(ApiError):
    """Our own fault."""

    def __init__(self) -> None:
        super().__init__("internal error; the request id finds it in the log")


class UpstreamFailedError(ApiError):
    """The variant failed, and no other could take over."""

    status = 502
    error_type = "upstream_error"


class UnavailableError(ApiError):
    """No variant can take the request now."""

    status = 503
    error_type = "overloaded"


class RestartingError(UnavailableError):
    """The process has been told to stop, and the answer was not complete when its time was over."""

    def __init__(self) -> None:
        super().__init__("the gateway is restarting; send the request again", code="restarting", retry_after_s=1.0)


def from_backend(error: backend.BackendError) -> ApiError:
    """What a caller sees of a failed variant; `code` keeps the backend's name for it, or the server's own."""
    match error:
        case backend.ContextLengthError():
            return ContextLengthError(str(error))
        case backend.BadRequestError():
            return InvalidRequestError(str(error), code=error.code or error.error_type)
        case backend.UpstreamTimeoutError():
            return DeadlineError(str(error), code=error.error_type)
        case backend.RateLimitedError():
            return RateLimitError(str(error), code=error.error_type, retry_after_s=error.retry_after_s or 1.0)
        case backend.OverloadedError():
            return UnavailableError(str(error), code=error.error_type, retry_after_s=error.retry_after_s or 1.0)
        case _:
            return UpstreamFailedError(str(error), code=error.error_type)
