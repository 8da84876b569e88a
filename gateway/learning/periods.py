"""Lengths of time as a person writes them."""

from __future__ import annotations

import re

__all__ = ("LONGEST_S", "parse_period")

LONGEST_S = 400 * 86_400.0
"""Longer than any log is kept."""

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PERIOD = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)([smhd])", re.ASCII)


def parse_period(text: str) -> float:
    """Seconds of `30m`, `24h` or `7d`.

    Raises:
        ValueError: It is no length of time, or longer than 400 days; the message says what to write.
    """
    found = _PERIOD.fullmatch(text.strip())
    if found is None or not 0.0 < (period_s := float(found[1]) * _UNITS_S[found[2]]) <= LONGEST_S:
        raise ValueError(f"`{text[:32]}` is no length of time up to 400 days; write 30m, 24h or 7d")
    return period_s
