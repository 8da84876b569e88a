"""The two tenants of the demo, and which of them asks what at which moment. Pure: the same seed, the same traffic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from gateway.demo.recordings import RecordedTask, UtilityPrices, knee_prices

__all__ = ("TENANTS", "DemoTenant", "PlannedRequest", "prices_of", "tenant_sections", "traffic_plan")

WINDOW_S = 60.0
"""SLAs are judged minute by minute, so that a run of three minutes has several windows."""


class DemoTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant with what matters to it."""

    id: str
    about: str
    """Its needs, for a person."""
    priority: str
    """The hint of its requests."""
    ttft_p95_s: float | None = None
    """SLA, at the recorded pace."""
    mean_quality: float | None = None
    """SLA."""


TENANTS = (
    DemoTenant(
        id="support-bot",
        about="users watch the cursor: the first token must come soon, and right answers must be worth their price",
        priority="balanced",
        ttft_p95_s=0.35,
    ),
    DemoTenant(
        id="legal-analyser",
        about="answers are read by lawyers: they must be right, and may take their time",
        priority="accuracy",
        mean_quality=0.75,
    ),
)
"""The tenants of the demo: opposite SLAs on the same three models."""


class PlannedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to come."""

    at_s: float
    """Since the beginning of the traffic."""
    tenant: DemoTenant
    task: RecordedTask


def prices_of(tenant: DemoTenant, tasks: Sequence[RecordedTask]) -> UtilityPrices:
    """The prices of a tenant's utility: at the knee for `balanced`; `accuracy` counts quality alone."""
    return UtilityPrices() if tenant.priority == "accuracy" else knee_prices(tasks)


def tenant_sections(*, speed: float) -> list[dict[str, Any]]:
    """The tenants as the gateway's configuration has them.

    Args:
        speed: How many times as fast as recorded the models answer; promised times shrink with it.
    """
    found = []
    for tenant in TENANTS:
        sla: dict[str, Any] = {"window_s": WINDOW_S}
        if tenant.ttft_p95_s is not None:
            sla["ttft_p95_s"] = tenant.ttft_p95_s / speed
        if tenant.mean_quality is not None:
            sla["mean_quality"] = tenant.mean_quality
        found.append({"id": tenant.id, "sla": sla})
    return found


def traffic_plan(
    tasks: Sequence[RecordedTask], *, seconds: float, rate_per_s: float, seed: int
) -> list[PlannedRequest]:
    """All requests of the demo in the order of their moments.

    The tenants take turns. Each goes through all tasks in an order of its own before it asks one again.

    Args:
        tasks: What can be asked.
        seconds: Length of the traffic.
        rate_per_s: Requests of all tenants together in a second.
        seed: Orders and moments are drawn from it.
    """
    rng = np.random.default_rng(seed)
    orders = [_passes(tasks, np.random.default_rng((seed, number))) for number in range(len(TENANTS))]
    count = max(1, round(seconds * rate_per_s))
    moments = (np.arange(count) + rng.random(count)) / rate_per_s
    return [
        PlannedRequest(
            at_s=float(at_s), tenant=TENANTS[number % len(TENANTS)], task=next(orders[number % len(TENANTS)])
        )
        for number, at_s in enumerate(moments)
    ]


def _passes(tasks: Sequence[RecordedTask], rng: np.random.Generator) -> Iterator[RecordedTask]:
    while True:
        for place in rng.permutation(len(tasks)):
            yield tasks[place]
