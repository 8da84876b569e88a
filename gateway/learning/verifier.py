"""Verifies the checks of a request before a variant is asked: off the event loop, each different check once."""

from __future__ import annotations

import hashlib

import msgspec
from cachetools import LRUCache

from gateway.errors import InvalidRequestError, RateLimitError
from gateway.learning.checker import BusyError, Checker
from gateway.learning.scoring import Fault
from gateway.routing.request import ValidRequest
from policies.checks import AnswerCheck, Check

__all__ = ("Verifier",)

REMEMBERED = 4096
"""Latest checks whose result is kept."""

_encode = msgspec.json.Encoder().encode


class Verifier:
    """Remembers which checks can be used. For the event loop's thread only."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._faults: LRUCache[bytes, Fault | None] = LRUCache(REMEMBERED)

    async def verified(self, request: ValidRequest) -> ValidRequest:
        """The request with checks that can be used; without its form where `response_format` holds no schema.

        Raises:
            InvalidRequestError: A check cannot be used; names the field.
            RateLimitError: Too many new checks of its tenant are waiting to be verified.
        """
        try:
            return await self._verified(request)
        except BusyError:
            message = f"too many new checks of tenant `{request.tenant}` are waiting to be verified"
            raise RateLimitError(message, param="checks", code="checks_busy", retry_after_s=1.0) from None

    async def _verified(self, request: ValidRequest) -> ValidRequest:
        for number, check in enumerate(request.checks):
            if (fault := await self._fault(check, request.tenant)) is not None:
                field = f"checks[{number}].{fault.field}".rstrip(".")
                raise InvalidRequestError(f"{fault.message} at {field}", param=field)
        if request.form is not None and await self._fault(request.form, request.tenant) is not None:
            return msgspec.structs.replace(request, form=None)  # For the variant to refuse.
        return request

    async def _fault(self, check: Check, tenant: str) -> Fault | None:
        if isinstance(check, AnswerCheck):
            return None  # Text; its size was bounded when it was decoded.
        key = hashlib.sha256(_encode(check)).digest()
        if key not in self._faults:
            self._faults[key] = fault = await self._checker.verify(check, tenant=tenant)
            return fault
        return self._faults[key]
