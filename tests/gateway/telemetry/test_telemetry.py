"""Whoever reports on requests is told of every one, soon, in order, and whatever the others do."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar.datastructures import Headers

from gateway.telemetry.seen import Seen
from gateway.telemetry.telemetry import TOGETHER, WITHIN_S, Telemetry
from gateway.telemetry.timeline import Timeline


def seen(number: int) -> Seen:
    return Seen(
        method="GET",
        route="/",
        status=200,
        request_id=f"req_{number}",
        headers=Headers(),
        timeline=Timeline(),
        tenant=None,
        exchange=None,
    )


async def test_as_many_as_are_told_together_are_told_at_once_and_the_rest_in_a_moment() -> None:
    told: list[str] = []
    telemetry = Telemetry([lambda of: told.append(of.request_id)])
    for number in range(TOGETHER + 2):
        telemetry.finished(seen(number))
    assert told == [f"req_{number}" for number in range(TOGETHER)]
    await asyncio.sleep(3 * WITHIN_S)
    assert told == [f"req_{number}" for number in range(TOGETHER + 2)]


async def test_a_reporter_that_fails_keeps_nobody_from_being_told(caplog: Any) -> None:
    told: list[str] = []

    def broken(of: Seen) -> None:
        raise RuntimeError(of.request_id)

    telemetry = Telemetry([broken, lambda of: told.append(of.request_id)])
    for number in range(2):
        telemetry.finished(seen(number))
    telemetry.report()
    telemetry.report()
    assert told == ["req_0", "req_1"]
    assert [record.getMessage() for record in caplog.records] == [
        "request req_0 was not reported",
        "request req_1 was not reported",
    ]
