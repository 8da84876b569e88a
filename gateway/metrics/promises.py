"""How each tenant's promises stand, as gauges: read from the log now and then, never by a scrape."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from gateway.sla.report import Reports, SlaReport
from gateway.tenants.directory import Directory

__all__ = ("PromiseGauges",)

EVERY_S = 60.0
WINDOWS = 24
MAX_TENANTS = 200
"""Tenants whose promises are told; each is a query of the log."""

Sample = tuple[str, tuple[str, ...], float]


class PromiseGauges:
    """The last report of every tenant that was promised something."""

    def __init__(self, reports: Reports, directory: Directory) -> None:
        self._reports = reports
        self._directory = directory
        self._found: dict[str, SlaReport] = {}

    @property
    def reports(self) -> dict[str, SlaReport]:
        """The last report by tenant."""
        return self._found

    async def keep(self) -> None:
        """Read reports until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            with contextlib.suppress(SQLAlchemyError):
                await self.refresh()

    async def refresh(self) -> None:
        """Read the reports of all.

        Raises:
            SQLAlchemyError: The database cannot be read.
        """
        found: dict[str, SlaReport] = {}
        for tenant in self._directory.tenants[:MAX_TENANTS]:
            report = await self._reports.of(tenant, windows=WINDOWS)
            if report.promises:
                found[tenant.id] = report
        self._found = found

    def samples(self) -> Iterator[Sample]:
        """The reports as samples."""
        for tenant, report in self._found.items():
            yield "trilemma_sla_objective_ratio", (tenant,), report.sla.objective
            for attainment in report.promises:
                if attainment.attained is not None:
                    yield "trilemma_sla_attained_ratio", (tenant, attainment.promise), attainment.attained
                if attainment.allowance is not None:
                    yield "trilemma_sla_allowance_ratio", (tenant, attainment.promise), attainment.allowance
                for window, burn in (("short", attainment.burn_short), ("long", attainment.burn_long)):
                    if burn is not None:
                        yield "trilemma_sla_budget_burn", (tenant, attainment.promise, window), burn
