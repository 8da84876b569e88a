"""The `admission` section: the queue in front of the variants."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ("AdmissionSettings",)


class AdmissionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `admission` section: the queue in front of each pool of variants."""

    max_queued: Annotated[int, Meta(ge=0)] = 1000
    """Requests that may wait for one pool; further ones get 503, or 429 if their own tenant fills it."""
    max_wait_s: Annotated[float, Meta(gt=0)] = 60.0
    """Longest wait in the queue, where a request's own limits do not say less."""
