"""Whether routing is worth more than the best fixed variant, as gauges: read from the log now and then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import numpy as np

from gateway.learning.errors import ReportError
from gateway.learning.learning_report import LearningQuery, LearningReport, LearningReports

__all__ = ("LearningGauges",)

FIRST_S = 60.0
EVERY_S = 300.0
"""A report reads up to 20,000 decisions; what it says changes slowly."""

DAY = LearningQuery()
"""All traffic of the last 24 hours: one look at one period, so that alarms are rare."""

Sample = tuple[str, tuple[str, ...], float]


class LearningGauges:
    """The last report on all traffic of a day."""

    def __init__(self, reports: LearningReports, *, rng: np.random.Generator) -> None:
        self._reports = reports
        self._rng = rng
        self.report: LearningReport | None = None
        """None before the first one was made."""

    async def keep(self) -> None:
        """Make reports until cancelled."""
        await asyncio.sleep(FIRST_S * self._spread())
        while True:
            with contextlib.suppress(ReportError, OSError):
                await self.refresh()
            await asyncio.sleep(EVERY_S * self._spread())

    def _spread(self) -> float:
        """So that processes which began together do not read the log together."""
        return float(self._rng.uniform(0.75, 1.25))

    async def refresh(self) -> None:
        """Make a report now.

        Raises:
            ReportError: It could not be made.
        """
        self.report = await self._reports.of(DAY)

    def samples(self) -> Iterator[Sample]:
        """The report as samples; none while the log cannot tell."""
        if self.report is None:
            return
        figures = self.report.figures
        if figures.drawn_cost.points_per_request is not None:
            yield "trilemma_exploration_cost_points", ("drawn",), figures.drawn_cost.points_per_request
        if figures.forced_cost.points_per_request is not None:
            yield "trilemma_exploration_cost_points", ("forced",), figures.forced_cost.points_per_request
        best = figures.fixed.against_best
        if best is None:
            return
        yield "trilemma_routing_gain", ("estimate",), best.difference
        yield "trilemma_routing_gain", ("low",), best.interval.low
        yield "trilemma_routing_gain", ("high",), best.interval.high
        yield "trilemma_routing_worse_than_fixed", (), float(figures.fixed.worse_than is not None)
