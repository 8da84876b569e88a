"""Whether promises were kept: window by window, how much may still go wrong, and how fast that is being used up.

A promise is kept in a window or broken in it; a window without requests says nothing. Of the windows that say
something the objective lets a share be broken: that is the budget of windows. Where single requests can break a
promise, the share that may is an error budget in the usual sense, and its burn rate is the share that did over the
share that may: at 1 the budget is used up exactly when the window ends (Beyer et al., The Site Reliability Workbook,
2018, chapter 5; a short window beside the long one tells what is going on now from what is over).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from policies.promises.types import LATE, Sla

__all__ = ("Attainment", "Promise", "Tally", "Verdict", "attainment")

Promise = Literal["ttft_p95_s", "latency_p95_s", "mean_quality", "availability", "max_cost_usd"]

Verdict = Literal["kept", "broken", "quiet"]
"""`quiet` where no request says anything."""


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in one stretch of time. Requests that failed by the caller's own doing are not in it."""

    start_s: float
    """Unix time."""
    requests: int = 0
    """Answered, or not answered for a reason of ours."""
    failed: int = 0
    """Those not answered."""
    streamed: int = 0
    """Answers with a time to first token."""
    late_first: int = 0
    """Those whose first token came later than promised."""
    ttft_p95_s: float | None = None
    """The least time that 95 % of them did not exceed."""
    late: int = 0
    """Answers that took longer than promised."""
    latency_p95_s: float | None = None
    """The least time that 95 % of the answers did not exceed."""
    rated: int = 0
    """Answers whose quality was judged or predicted."""
    judged: int = 0
    """Answers whose quality was judged."""
    quality: float | None = None
    """Mean over the rated ones, of the judgement, else of the prediction."""
    dear: int = 0
    """Requests that cost more than promised."""
    dearest_usd: float | None = None
    """What the dearest request cost."""

    @property
    def answered(self) -> int:
        """Requests that were answered."""
        return self.requests - self.failed


class Attainment(msgspec.Struct, frozen=True, kw_only=True):
    """How one promise stands."""

    promise: Promise
    limit: float
    """What was promised."""
    windows: tuple[Verdict, ...]
    """Windows that have ended, oldest first."""
    kept: int
    broken: int
    quiet: int
    attained: float | None
    """Share of the windows that say something in which it was kept; None where none does."""
    may_break: float
    """Windows that the objective lets be broken among those that say something."""
    now: float | None
    """Its value in the window that runs; None where nothing says anything yet."""
    now_verdict: Verdict
    """Whether the window that runs keeps it so far."""
    allowance: float | None
    """Share of the requests that may break it; None for a mean."""
    budget_left: float | None
    """Of the requests that might have broken it over all windows, the share that did not yet; negative once there
    were more than might."""
    burn_short: float | None
    """Burn rate over the latest twelfth of a window."""
    burn_long: float | None
    """Burn rate over the latest whole window."""

    @property
    def may_still_break(self) -> float:
        """Windows of the budget that are left; negative when the objective is missed."""
        return self.may_break - self.broken


def attainment(
    ended: Sequence[Tally], sla: Sla, *, running: Tally, short: Tally, long: Tally
) -> tuple[Attainment, ...]:
    """How each promise stands, in the order of the SLA's fields.

    Args:
        ended: Windows that have ended, oldest first, quiet ones included.
        sla: What was promised.
        running: The window that runs.
        short: The latest twelfth of a window.
        long: The latest whole window.
    """
    return tuple(
        _one(reader, limit, ended, sla, running=running, short=short, long=long)
        for reader in _READERS
        if (limit := getattr(sla, reader.promise)) is not None
    )


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """Where a promise is found in a tally."""

    promise: Promise
    value: Callable[[Tally], float | None]
    said: Callable[[Tally], int]
    """Requests that say something of it."""
    bad: Callable[[Tally], int] | None
    """Those that broke it; None for a mean."""
    allowance: Callable[[float], float]
    """Share that may, by the limit."""


def _holds(reader: _Reader, limit: float, tally: Tally) -> Verdict:
    value = reader.value(tally)
    if value is None or reader.said(tally) == 0:
        return "quiet"
    at_least = reader.promise in {"mean_quality", "availability"}
    return "kept" if (value >= limit if at_least else value <= limit) else "broken"


def _one(
    reader: _Reader, limit: float, ended: Sequence[Tally], sla: Sla, *, running: Tally, short: Tally, long: Tally
) -> Attainment:
    verdicts = tuple(_holds(reader, limit, tally) for tally in ended)
    kept, broken = verdicts.count("kept"), verdicts.count("broken")
    allowance = None if reader.bad is None else reader.allowance(limit)
    return Attainment(
        promise=reader.promise,
        limit=limit,
        windows=verdicts,
        kept=kept,
        broken=broken,
        quiet=verdicts.count("quiet"),
        attained=kept / (kept + broken) if kept + broken else None,
        may_break=(1.0 - sla.objective) * (kept + broken),
        now=reader.value(running),
        now_verdict=_holds(reader, limit, running),
        allowance=allowance,
        budget_left=_budget_left(reader, limit, [*ended, running]),
        burn_short=_burn(reader, limit, short),
        burn_long=_burn(reader, limit, long),
    )


def _budget_left(reader: _Reader, limit: float, tallies: Sequence[Tally]) -> float | None:
    if reader.bad is None or not (said := sum(map(reader.said, tallies))):
        return None
    bad, allowance = sum(map(reader.bad, tallies)), reader.allowance(limit)
    if allowance == 0.0:
        return 1.0 if bad == 0 else None
    return 1.0 - bad / (allowance * said)


def _burn(reader: _Reader, limit: float, tally: Tally) -> float | None:
    if reader.bad is None or not (said := reader.said(tally)) or not (allowance := reader.allowance(limit)):
        return None
    return reader.bad(tally) / said / allowance


def _availability(tally: Tally) -> float | None:
    return tally.answered / tally.requests if tally.requests else None


_READERS = (
    _Reader(
        promise="ttft_p95_s",
        value=lambda tally: tally.ttft_p95_s,
        said=lambda tally: tally.streamed,
        bad=lambda tally: tally.late_first,
        allowance=lambda _: LATE,
    ),
    _Reader(
        promise="latency_p95_s",
        value=lambda tally: tally.latency_p95_s,
        said=lambda tally: tally.answered,
        bad=lambda tally: tally.late,
        allowance=lambda _: LATE,
    ),
    _Reader(
        promise="mean_quality",
        value=lambda tally: tally.quality,
        said=lambda tally: tally.rated,
        bad=None,
        allowance=lambda _: 0.0,
    ),
    _Reader(
        promise="availability",
        value=_availability,
        said=lambda tally: tally.requests,
        bad=lambda tally: tally.failed,
        allowance=lambda limit: 1.0 - limit,
    ),
    _Reader(
        promise="max_cost_usd",
        value=lambda tally: tally.dearest_usd,
        said=lambda tally: tally.requests,
        bad=lambda tally: tally.dear,
        allowance=lambda _: 0.0,
    ),
)
