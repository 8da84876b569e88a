"""A request this worker will not run, as the caller should read it."""

from __future__ import annotations

__all__ = ("RequestError",)


class RequestError(Exception):
    """The request is at fault, or comes at a bad time; becomes an OpenAI error object."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
        error_type: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        """Path of the field at fault, such as `messages[0].role`."""
        self.code = code
        self.status = status
        """HTTP status."""
        self.error_type = error_type
