"""The few shapes of query that dashboards and rules are made of.

Every family is summed over pods and processes: which of them served a request is of no interest here.
"""

from __future__ import annotations

__all__ = ("counted", "highest", "mean", "quantile", "rate", "share", "split", "total")

WINDOW = "$__rate_interval"
"""Grafana's own: long enough for two scrapes."""


def rate(family: str, *by: str, where: str = "", window: str = WINDOW) -> str:
    """Per second, by these labels."""
    return f"sum{_by(by)} (rate({family}{_where(where)}[{window}]))"


def counted(family: str, *by: str, where: str = "", window: str = "$__range") -> str:
    """How many in all."""
    return f"sum{_by(by)} (increase({family}{_where(where)}[{window}]))"


def total(family: str, *by: str, where: str = "") -> str:
    """A gauge, summed."""
    return f"sum{_by(by)} ({family}{_where(where)})"


def highest(family: str, *by: str, where: str = "") -> str:
    """A gauge, the highest of all processes."""
    return f"max{_by(by)} ({family}{_where(where)})"


def share(part: str, whole: str) -> str:
    """One query over another."""
    return f"{part} / {whole}"


def split(parts: str, whole: str, *on: str) -> str:
    """Each of several parts over the whole that they have these labels in common with."""
    return f"{parts} / on ({', '.join(on)}) group_left () {whole}"


def quantile(q: float, family: str, *by: str, where: str = "", window: str = WINDOW) -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({q}, {rate(f'{family}_bucket', *by, 'le', where=where, window=window)})"


def mean(family: str, *by: str, where: str = "", window: str = WINDOW) -> str:
    """The mean of a histogram."""
    parts = (rate(f"{family}_{part}", *by, where=where, window=window) for part in ("sum", "count"))
    return share(*parts)


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""


def _where(where: str) -> str:
    return f"{{{where}}}" if where else ""
