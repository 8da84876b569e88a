"""Figures as a person reads them: few digits, the unit with them."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ("NONE", "bytes_of", "count", "marked", "moment", "number", "percent", "seconds", "usd")

from markupsafe import Markup, escape

NONE = "\N{EN DASH}"
"""Stands where there is no figure."""

_SCALES = (
    (0.0005, "µs", 1e6, 0),
    (0.0095, "ms", 1e3, 1),
    (0.9995, "ms", 1e3, 0),
    (2.0, "s", 1, 2),
    (9.95, "s", 1, 1),
    (119.5, "s", 1, 0),
)
"""Below so many seconds: the unit, how many of it are a second, digits."""


def seconds(value_s: float | None) -> str:
    """`8.2 s`, `340 ms`, `2 min 5 s`."""
    if value_s is None:
        return NONE
    for limit_s, unit, per_s, digits in _SCALES:
        if value_s < limit_s:
            return f"{value_s * per_s:.{digits}f} {unit}"
    minutes, rest = divmod(round(value_s), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def usd(value_usd: float | None) -> str:
    """Dollars to three significant digits; small ones without an exponent."""
    if value_usd is None:
        return NONE
    if value_usd == 0:
        return "$0"
    if abs(value_usd) >= 0.995:
        return f"${value_usd:,.2f}"
    if abs(value_usd) < 5e-10:
        return "< $0.000000001"
    digits = 2
    while digits < 9 and abs(value_usd) < 10 ** (2 - digits):
        digits += 1
    return f"${value_usd:.{digits}f}".rstrip("0") if digits > 3 else f"${value_usd:.{digits}f}"


def percent(ratio: float | None) -> str:
    """A ratio in [0, 1]."""
    if ratio is None:
        return NONE
    if 0 < ratio < 0.001:
        return "< 0.1 %"
    share = ratio * 100
    return f"{share:.1f} %" if share < 9.95 and share % 1 > 0.05 else f"{share:.0f} %"


def number(value: float | None, *, digits: int = 2) -> str:
    """A figure without a unit."""
    return NONE if value is None else f"{value:.{digits}f}"


def count(things: int, one: str, many: str | None = None) -> str:
    """`1 call`, `3 calls`."""
    return f"{things:,} {one if things == 1 else many or one + 's'}"


def bytes_of(size_bytes: float | None) -> str:
    """Bytes in powers of 1024."""
    if size_bytes is None:
        return NONE
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def moment(unix_s: float) -> str:
    """Day and time in UTC, which is what the logs of several machines have in common."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def marked(text: str) -> Markup:
    """What stands between backticks as code; everything else is escaped, and so is that."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )
