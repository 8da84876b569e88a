"""Reads tables in which an arm has a `reward` and a `cost`, as the `paretobandit` package on PyPI ships them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from policies.objective import NonNegative, Ratio
from policies.simulation.tables import Arm, Row, decoded_lines

__all__ = ("as_outcomes",)


class _Arm(msgspec.Struct, frozen=True, kw_only=True):
    reward: Ratio
    cost: NonNegative
    """Dollars."""


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    prompt: str
    source: str = ""
    arms: Annotated[dict[str, _Arm], Meta(min_length=1)]


def as_outcomes(data: bytes, *, name: str) -> bytes:
    """The same table as `policies.simulation.tables.parse` reads it; identifiers are `name/number`.

    Raises:
        DocumentError: A line is not such a row; names the line and the field.
    """
    encoder, lines = msgspec.json.Encoder(), []
    for number, row in enumerate(decoded_lines(data, _Row, name=name), start=1):
        arms = {arm: Arm(quality=of.reward, cost_usd=of.cost) for arm, of in row.arms.items()}
        lines.append(encoder.encode(Row(id=f"{name}/{number}", prompt=row.prompt, source=row.source, arms=arms)))
    return b"\n".join(lines)
