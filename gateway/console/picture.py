"""A waterfall as a picture: where each bar and each text of it stands, in the units of an SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gateway.console.amounts import seconds
from gateway.traces.waterfall import Bar

__all__ = ("Lane", "Picture", "Tick", "picture")

ROW = 24
"""Height of a row."""

LABELS = 190
"""Width of the column of names."""

PLOT = 640
"""Width of the request's whole time."""

FIGURES = 70
"""Width that is left for a figure after the last bar."""

TOP = 22
"""Height of the scale."""

LEAST = 2.0
"""Width of what would be too short to be seen."""

SHORT = 0.005
"""Of the whole time: stages next to each other that all took less are drawn as one."""

INDENT = 12
MOST_ROWS = 120
"""A request that called Redis a thousand times is not drawn to the end."""


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on the scale of time."""

    x: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One span."""

    y: float
    name_x: float
    name: str
    bar_x: float
    bar_width: float
    figure_x: float
    anchor: str
    """`start` of the figure after the bar, `end` of one before it."""
    figure: str
    kind: str
    """A class of the style sheet: `blamed`, `failed`, `attempt`, `request`, `worker` or `stage`."""
    title: str
    """All of it in words."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What the template draws."""

    width: float
    height: float
    row: float
    lanes: tuple[Lane, ...]
    ticks: tuple[Tick, ...]
    left_out: int
    """Spans that were too many."""


def picture(bars: Sequence[Bar]) -> Picture:
    """Place the rows of a waterfall from the top."""
    lanes = _folded(bars)
    shown = lanes[:MOST_ROWS]
    whole_s = bars[0].duration_s if bars else 0.0
    return Picture(
        width=LABELS + PLOT + FIGURES,
        height=TOP + ROW * len(shown) + 6,
        row=ROW,
        lanes=tuple(_lane(bar, TOP + ROW * place) for place, bar in enumerate(shown)),
        ticks=tuple(Tick(x=LABELS + PLOT * part / 4, text=seconds(whole_s * part / 4)) for part in range(5)),
        left_out=len(lanes) - len(shown),
    )


def _folded(bars: Sequence[Bar]) -> list[Bar]:
    """The rows, but that neighbours without parts that were all short are one: nobody looks for a reason there."""
    found, run = list[Bar](), list[Bar]()
    for place, bar in enumerate(bars):
        below = place + 1 < len(bars) and bars[place + 1].depth > bar.depth
        short = bar.width < SHORT and not below and not bar.blamed and bar.error_type is None
        if run and not (short and bar.depth == run[0].depth):
            found.append(_one(run))
            run = []
        if short:
            run.append(bar)
        else:
            found.append(bar)
    return [*found, _one(run)] if run else found


def _one(run: Sequence[Bar]) -> Bar:
    if len(run) == 1:
        return run[0]
    took_s = sum(bar.duration_s for bar in run)
    names = dict.fromkeys(bar.name for bar in run)
    label = ", ".join(names) + (f" ({len(run)})" if len(names) < len(run) else "")
    return msgspec.structs.replace(run[0], label=label, duration_s=took_s, width=sum(bar.width for bar in run))


def _lane(bar: Bar, y: float) -> Lane:
    bar_width = max(LEAST, bar.width * PLOT)
    bar_x = LABELS + min(bar.offset * PLOT, PLOT - bar_width)
    after = bar_x + bar_width + FIGURES <= LABELS + PLOT + FIGURES
    error = f", failed with {bar.error_type}" if bar.error_type else ""
    return Lane(
        y=y,
        name_x=4 + INDENT * min(bar.depth, 6),
        name=_cut(bar.label, 27 - 2 * min(bar.depth, 6)),
        bar_x=round(bar_x, 2),
        bar_width=round(bar_width, 2),
        figure_x=round(bar_x + bar_width + 5 if after else bar_x - 5, 2),
        anchor="start" if after else "end",
        figure=seconds(bar.duration_s),
        kind=_kind(bar),
        title=f"{bar.label}: {seconds(bar.duration_s)}, from {seconds(bar.began_s)} on{error}",
    )


def _kind(bar: Bar) -> str:
    if bar.blamed:
        return "blamed"
    if bar.error_type and bar.name == "attempt":
        return "failed"
    if bar.name in {"request", "attempt"}:
        return bar.name
    return "worker" if "." in bar.name else "stage"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
