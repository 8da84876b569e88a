"""The picture of `benchmarks/live_learning.py`: how learned routing comes to pass the best fixed model."""

from __future__ import annotations

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

__all__ = ("draw",)

FIRST, STEP = 20, 3
"""Where the curve begins, a mean of fewer requests being mostly noise, and how densely it is drawn."""

_OURS, _INK = "#c2410c", "#222222"
_FIXED = ("#1d4ed8", "#0e7490", "#7c3aed")
_PANELS = (("balanced", "utility", "utility"), ("accuracy", "quality", "quality"))


def draw(result: dict[str, Any]) -> bytes:
    """An SVG with a panel for each hint: the moving mean against the best fixed model, which is 0."""
    panels = [panel for panel in _PANELS if panel[0] in result]
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "svg.hashsalt": "trilemma"}):
        figure = Figure(figsize=(9.6, 3.6), layout="constrained")
        for place, (name, unit, fixed) in enumerate(panels, start=1):
            _panel(figure.add_subplot(1, len(panels), place), result[name], name, unit, f"fixed_{fixed}")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _panel(axes: Any, of: dict[str, Any], hint: str, unit: str, fixed: str) -> None:  # noqa: ANN401 - untyped library
    requests = np.arange(FIRST, len(of["curve"]["best_fixed_is_0"]), STEP)
    mean, error = (np.array(of["curve"][name])[requests - 1] for name in ("best_fixed_is_0", "standard_error"))
    best = of["best_fixed"]
    heights: dict[float, list[str]] = {}
    for model, value in of[fixed].items():
        heights.setdefault(round(value - of[fixed][best], 3), []).append(model)
    for (height, models), colour in zip(heights.items(), _FIXED, strict=False):
        style = {"color": _INK, "linestyle": "-"} if best in models else {"color": colour, "linestyle": (0, (4, 3))}
        axes.axhline(height, linewidth=1.4, **style)
        axes.annotate(
            f"always {' or '.join(models)}",
            (requests[-1], height),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
            color=style["color"],
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.5},
            zorder=5,
        )
    axes.fill_between(requests, mean - error, mean + error, color=_OURS, alpha=0.2, linewidth=0)
    axes.plot(requests, mean, color=_OURS, linewidth=2.0, label=f"auto, hint {hint} ({of['runs']} orders)")
    axes.set_xlabel("judged requests since the first one")
    axes.set_ylabel(f"{unit} against always {best}", fontsize=8)
    axes.set_title(f"{hint}: mean {unit} of the latest 63 requests", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, fontsize=8, loc="best")
