"""An SLA: what a tenant was promised, and over which window each promise is judged."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from policies.objective import Ratio

__all__ = ("LATE", "Sla")

Positive = Annotated[float, Meta(gt=0)]

LATE = 0.05
"""Share of the answers that may exceed a promised 95th percentile."""


class Sla(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant's promises. None promises nothing."""

    window_s: Annotated[float, Meta(ge=1)] = 3600.0
    """Seconds of each window over which the promises are judged."""
    ttft_p95_s: Positive | None = None
    """Of the streamed answers of a window, 95 % have their first token within so many seconds."""
    latency_p95_s: Positive | None = None
    """Of the answers of a window, 95 % are complete within so many seconds."""
    mean_quality: Ratio | None = None
    """The answers of a window are at least this good on average."""
    availability: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """Share of a window's requests that are answered; the rest is the error budget."""
    max_cost_usd: Positive | None = None
    """No single request costs more US dollars."""
    objective: Annotated[float, Meta(gt=0, lt=1)] = 0.99
    """Share of the windows in which a promise is to be kept; the rest is its error budget."""
