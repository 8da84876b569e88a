"""Requests of the last minutes as a picture of bars."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.console.amounts import count
from gateway.console.traffic import BUCKET_S, Bucket

__all__ = ("Bar", "Spark", "spark")

WIDTH, HEIGHT = 600.0, 72.0
GAP = 3.0


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bar; all lengths in the picture's own units."""

    x: float
    width: float
    ok_y: float
    ok_height: float
    failed_y: float
    failed_height: float
    title: str


class Spark(msgspec.Struct, frozen=True, kw_only=True):
    """The picture."""

    width: float
    height: float
    bars: tuple[Bar, ...]
    most_per_s: float
    """What the top of the picture stands for."""
    text: str
    """What it shows, for those who do not see it."""


def spark(buckets: Sequence[Bucket]) -> Spark:
    """Draw buckets of the same length, oldest first; failures lie on top."""
    most = max([bucket.requests for bucket in buckets] + [1])
    step, scale = WIDTH / len(buckets), HEIGHT / most
    total, failed = sum(bucket.requests for bucket in buckets), sum(bucket.failed for bucket in buckets)
    return Spark(
        width=WIDTH,
        height=HEIGHT,
        bars=tuple(_bar(bucket, number, len(buckets), step, scale) for number, bucket in enumerate(buckets)),
        most_per_s=most / BUCKET_S,
        text=f"{count(total, 'request')} in five minutes, {failed} failed; at most {most / BUCKET_S:.3g} per second",
    )


def _bar(bucket: Bucket, number: int, of: int, step: float, scale: float) -> Bar:
    failed, ok = bucket.failed * scale, (bucket.requests - bucket.failed) * scale
    ago_s = (of - number) * BUCKET_S
    return Bar(
        x=round(number * step + GAP / 2, 2),
        width=round(step - GAP, 2),
        ok_y=round(HEIGHT - ok, 2),
        ok_height=round(ok, 2),
        failed_y=round(HEIGHT - ok - failed, 2),
        failed_height=round(failed, 2),
        title=f"{ago_s:.0f} s ago: {count(bucket.requests, 'request')}, {bucket.failed} failed",
    )
