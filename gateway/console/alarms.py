"""What somebody on call should know at once, most urgent first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from backends.types import WorkerState
from gateway.console.amounts import count, seconds
from gateway.console.promise_rows import FAST_BURN, burn_of
from gateway.console.traffic import Recent
from gateway.learning.learning_report import LearningReport
from gateway.services import Services
from gateway.sla.report import SlaReport

__all__ = ("Alarm", "alarms")

MUCH_BACKLOG = 2000
"""Rows of the log; at the usual interval of half a second that many wait only where the database is slow."""

_READY = {WorkerState.WARM, WorkerState.COLD, WorkerState.LOADING}


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong."""

    tone: Literal["bad", "warn"]
    text: str
    """Names stand between backticks."""
    link: str = ""
    """The page that says more."""


def alarms(services: Services, recent: Recent | None) -> tuple[Alarm, ...]:
    """All that is wrong as far as this process knows."""
    found = [
        *_process(services),
        *_variants(services),
        *_promises(services.promise_gauges.reports),
        *_learning(services.learning_gauges.report),
    ]
    if services.console.recent.trouble:
        found.append(Alarm(tone="bad", text=f"The log cannot be read: {services.console.recent.trouble}."))
    if recent is not None and recent.fallbacks:
        text = f"{count(recent.fallbacks, 'request')} of the last five minutes were decided by the fallback order: "
        found.append(Alarm(tone="warn", text=text + "what was predicted could not be trusted."))
    return tuple(sorted(found, key=lambda alarm: alarm.tone))


def _process(services: Services) -> Iterator[Alarm]:
    redis, log, traces = services.console.redis, services.log.stats, services.tracing.traces.stats
    if services.stopping:
        yield Alarm(tone="warn", text="This process has been told to stop.")
    if redis is not None and not redis.up:
        text = "Redis does not answer. Each process goes on with its share of the quotas and without shared caches."
        yield Alarm(tone="bad", text=text)
    if log.backlog >= MUCH_BACKLOG:
        yield Alarm(tone="warn", text=f"{log.backlog:,} rows of the log wait to be written: the database is slow.")
    if lost := log.dropped + log.refused:
        yield Alarm(tone="bad", text=f"{count(lost, 'row')} of the log were lost since this process began.")
    if traces.dropped:
        yield Alarm(tone="warn", text=f"{count(traces.dropped, 'trace')} were lost since this process began.")


def _variants(services: Services) -> Iterator[Alarm]:
    views = services.catalogue.views()
    if not any(view.status.state in _READY and not view.variant.embeds_only for view in views):
        yield Alarm(tone="bad", text="No variant can answer.", link="/console/variants")
    for view in views:
        name, status = view.variant.name, view.status
        if view.shut_s is not None:
            when = f"it is tried again in {seconds(view.shut_s)}" if view.shut_s else "it is being tried"
            text = f"The circuit of `{name}` is open because it failed; {when}."
            yield Alarm(tone="bad", text=text, link=f"/console/variants#{name}")
        if status.state is WorkerState.FAILED:
            text = f"`{name}` has failed{': ' + status.message if status.message else ''}."
            yield Alarm(tone="bad", text=text, link=f"/console/variants#{name}")


def _promises(reports: Mapping[str, SlaReport]) -> Iterator[Alarm]:
    for tenant, report in reports.items():
        for of in report.promises:
            if burn_of(of) >= FAST_BURN:
                pace = f"{burn_of(of):.0f} times too fast"
                text = f"Tenant `{tenant}` uses up what may go wrong with `{of.promise}` {pace}."
                yield Alarm(tone="bad", text=text, link=f"/console/tenants/{tenant}")


def _learning(report: LearningReport | None) -> Iterator[Alarm]:
    if report is not None and (better := report.figures.fixed.worse_than) is not None:
        text = f"Always `{better}` would have been better than routing, with 95 % confidence over the last 24 hours."
        yield Alarm(tone="bad", text=text, link="/console/learning")
