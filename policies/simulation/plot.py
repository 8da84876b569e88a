"""The cost-quality frontier as a picture."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from msgspec import UNSET

from policies.evaluation.hull import upper_hull
from policies.simulation.results import OURS, Figures, Result

__all__ = ("PictureFormat", "draw")

PictureFormat = Literal["png", "svg", "pdf"]
Points = list[tuple[float, float]]

_INK, _PALE = "#222222", "#9a9a9a"
_COLOURS = {OURS: "#c2410c", "oracle": "#15803d"}
_MIXES = ("zero-router", "fixed-mix")
_OTHERS = ("#1d4ed8", "#7c3aed", "#0e7490", "#a16207", "#be185d")


def draw(result: Result, kind: PictureFormat = "png") -> bytes:
    """Mean quality over mean cost: each method, the fixed variants with their hull, and the oracle.

    Raises:
        ImportError: matplotlib is missing.
        ValueError: The protocol measured no costs.
    """
    import matplotlib as mpl  # noqa: PLC0415 - only who draws pays for it

    lines = {name: points for name, of in result.methods.items() if (points := _points(of))}
    fixed = sorted(points[0] for name, points in lines.items() if name.startswith("fixed:"))
    if not fixed:
        raise ValueError(f"protocol {result.protocol} measures no costs, so there is no frontier to draw")
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "svg.hashsalt": "trilemma"}):
        from matplotlib.figure import Figure  # noqa: PLC0415

        figure = Figure(figsize=(7.2, 4.4), dpi=160, layout="constrained")
        axes = figure.add_subplot()
        _lines(axes, lines)
        _fixed(axes, lines)
        _frame(axes, result)
        buffer = io.BytesIO()
        # The same figures give the same file.
        undated: dict[str, Any] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
        figure.savefig(buffer, format=kind, metadata=undated)
    return buffer.getvalue()


def _points(of: Figures) -> Points:
    if of.frontier is not UNSET:
        return _mixed(of.frontier)
    if of.budgets is not UNSET:
        return [(each.cost_usd, each.quality) for each in of.budgets if each.cost_usd is not None]
    return [] if of.cost_usd is None or of.quality is None else [(of.cost_usd, of.quality)]


def _mixed(points: Points) -> Points:
    """What mixes of neighbours reach: straight over cost, and so bent where costs are drawn as logarithms."""
    hull = upper_hull(*np.array(points).T)
    costs = np.geomspace(max(hull.costs[0], 1e-12), hull.costs[-1], 200) if len(hull.costs) > 1 else hull.costs
    return list(zip(costs.tolist(), hull.value(np.clip(costs, hull.costs[0], hull.costs[-1])).tolist(), strict=True))


def _lines(axes: Any, lines: dict[str, Points]) -> None:  # noqa: ANN401 - matplotlib is not typed here
    others = iter(_OTHERS * 3)
    fixed = _mixed([points[0] for name, points in lines.items() if name.startswith("fixed:")])
    axes.plot(
        *zip(*fixed, strict=True), label="mix of fixed variants", color=_INK, linestyle=(0, (4, 3)), linewidth=1.2
    )
    for name, points in lines.items():
        if name.startswith("fixed:") or name in _MIXES:
            continue
        axes.plot(
            *zip(*points, strict=True),
            label=name,
            color=_COLOURS.get(name) or next(others),
            linewidth=2.4 if name == OURS else 1.2,
            marker="o" if len(points) < 12 else None,
            markersize=4.5 if name == OURS else 3,
            zorder=4 if name == OURS else 3,
        )


def _fixed(axes: Any, lines: dict[str, Points]) -> None:  # noqa: ANN401
    for name, points in lines.items():
        if name.startswith("fixed:"):
            cost_usd, quality = points[0]
            axes.plot(cost_usd, quality, marker="D", color=_INK, markersize=5, linestyle="none", zorder=5)
            axes.annotate(
                name.removeprefix("fixed:").rsplit("/")[-1],
                (cost_usd, quality),
                xytext=(5, -11),
                textcoords="offset points",
                fontsize=7.5,
                color=_INK,
            )


def _frame(axes: Any, result: Result) -> None:  # noqa: ANN401
    axes.set_xscale("log")
    axes.set_xlabel("mean cost of a request, USD (log scale)")
    axes.set_ylabel("mean quality")
    axes.set_title(f"{result.table}: what money buys ({result.rows:,} requests)", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.margins(x=0.12, y=0.08)
