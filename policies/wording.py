"""Figures in sentences for a person: two significant digits, a unit, no exponents, and an end to every scale."""

from __future__ import annotations

import math

__all__ = ("points", "quality", "seconds", "times", "usd", "utility")

_MOST = 1e6


def points(value: float) -> str:
    """Quality in hundredths: `0.9 points`, `1 point`, `less than 0.1 points`."""
    size = abs(value)
    if size < 0.05:
        return "less than 0.1 points"
    if not size < 1000.0:
        return "over 1,000 points"
    text = f"{size:.1f}" if size < 9.95 else f"{size:.0f}"
    text = text.removesuffix(".0")
    return f"{text} point{'' if text == '1' else 's'}"


def usd(value: float) -> str:
    """Dollars: `$0.00041`, `$1.20`."""
    if not value < _MOST:
        return "$1,000,000 and more"
    if value < 1e-8:
        return "$0" if value <= 0.0 else "almost nothing"
    if value >= 0.995:
        return f"${value:,.2f}"
    return f"${_plain(value)}"


def seconds(value: float) -> str:
    """Time: `340 ms`, `1.2 s`."""
    if not value < _MOST:
        return "1,000,000 s and more"
    if value < 1e-4:
        return "0 s" if value <= 0.0 else "almost no time"
    if value < 0.9995:
        return f"{_plain(value * 1000.0)} ms"
    return f"{_plain(value)} s"


def times(ratio: float, of: str) -> str:
    """How often something, between a thousandth and ten thousand: `29 times the price`."""
    return f"{_plain(ratio)} times the {of}"


def quality(value: float, se: float = 0.0) -> str:
    """A quality with its standard error: `0.60 ± 0.20`."""
    return f"{value:.2f}" + (f" ± {min(se, 1.0):.2f}" if se >= 0.005 else "")


def utility(value: float) -> str:
    """A utility: `0.82`."""
    return f"{value:.2f}" if value > -1000.0 else "less than -1,000"


def _plain(value: float) -> str:
    """Two significant digits of a positive number, all digits before the point."""
    places = max(0, 1 - math.floor(math.log10(value)))
    text = f"{value:,.{places}f}" if value < 99.5 else f"{float(f'{value:.2g}'):,.0f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
