"""Sends the demo's traffic to a gateway, judges the answers, and asks the gateway for its reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from backends.sse import DONE_DATA, SseReader
from gateway.console.blame import headline
from gateway.decisions.types import Record
from gateway.demo.comparison import AnsweredTask
from gateway.demo.traffic import PlannedRequest
from gateway.traces.types import TraceRow

__all__ = ("DemoClient", "Promise", "SlowRequest", "UnansweredError")

MOST_IN_FLIGHT = 64
TRACES_WITHIN_S = 3.0
"""Traces are written in batches."""


class UnansweredError(Exception):
    """The gateway refused a request, or an answer broke off."""


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """One promise of an SLA, as the gateway reports it."""

    promise: str
    limit: float
    now: float | None
    """In the current window."""
    now_verdict: str
    kept: int
    """Windows that have ended with it kept."""
    broken: int


class SlowRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A slow request, explained."""

    request_id: str
    tenant: str | None
    variant: str | None
    took_s: float
    stage: str
    """The stage to blame."""
    sentence: str
    path: str
    """Its page in the console."""


class _TracePage(msgspec.Struct, frozen=True):
    data: list[dict[str, Any]]


class DemoClient:
    """Speaks to one gateway.

    Args:
        session: Its connections.
        url: Of the gateway.
        keys: By tenant.
        operator_key: For reports on all of them.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, keys: Mapping[str, str], operator_key: str
    ) -> None:
        self._session = session
        self._url = url
        self._keys = keys
        self._operator_key = operator_key

    async def send(self, plan: Sequence[PlannedRequest], told: Callable[[AnsweredTask | Exception], None]) -> None:
        """Send every request at its moment; `told` is given each answer, once it is judged, or its error."""
        slots, clock = asyncio.Semaphore(MOST_IN_FLIGHT), asyncio.get_running_loop().time

        async def one(planned: PlannedRequest) -> None:
            try:
                async with slots:
                    told(await self._answered(planned))
            except (aiohttp.ClientError, OSError, UnansweredError) as error:
                told(error)

        began_s = clock()
        async with asyncio.TaskGroup() as sending:
            for planned in plan:
                await asyncio.sleep(max(0.0, began_s + planned.at_s - clock()))
                sending.create_task(one(planned))

    async def promises(self, tenant: str) -> list[Promise]:
        """How the promises to a tenant stand."""
        report = await self._get(f"/admin/v1/tenants/{tenant}/sla?windows=4")
        return msgspec.convert(report["promises"], list[Promise])

    async def slowest(self) -> SlowRequest | None:
        """The slowest request whose trace was kept; None where there is none."""
        by_s = asyncio.get_running_loop().time() + TRACES_WITHIN_S
        while True:
            for condition in ("kept=slow&", ""):
                page = await self._get(f"/admin/v1/traces?{condition}order=slowest&limit=1")
                if found := msgspec.convert(page, _TracePage).data:
                    return await self._explained(found[0]["span_id"])
            if asyncio.get_running_loop().time() > by_s:
                return None
            await asyncio.sleep(0.2)

    async def _answered(self, planned: PlannedRequest) -> AnsweredTask:
        task = planned.task
        body: dict[str, Any] = {
            "model": "auto",
            "messages": [{"role": "user", "content": task.prompt}],
            "max_tokens": task.max_tokens,
            "priority": planned.tenant.priority,
            "stream": True,
        }
        if task.checks:
            body["checks"] = task.checks
        key = self._keys[planned.tenant.id]
        async with self._session.post(
            f"{self._url}/v1/chat/completions", data=msgspec.json.encode(body), headers=_headers(key)
        ) as reply:
            if reply.status != 200:
                raise UnansweredError(f"{reply.status}: {(await reply.text())[:300]}")
            variant = await _answering_variant(reply)
        if not task.checks:  # The others are judged by the gateway itself.
            await self._judge(reply.headers["X-Trilemma-Decision"], task.answers[variant].score, key)
        return AnsweredTask(tenant=planned.tenant.id, task=task, variant=variant)

    async def _judge(self, decision_id: str, score: float, key: str) -> None:
        body = msgspec.json.encode({"decision_id": decision_id, "score": score})
        async with self._session.post(f"{self._url}/v1/feedback", data=body, headers=_headers(key)) as reply:
            if reply.status != 200:
                raise UnansweredError(f"feedback, {reply.status}: {(await reply.text())[:300]}")

    async def _explained(self, span_id: str) -> SlowRequest:
        found = await self._get(f"/admin/v1/traces/{span_id}")
        trace = msgspec.convert(found, TraceRow)
        told = headline(trace, msgspec.convert(found["record"], Record | None))
        return SlowRequest(
            request_id=trace.request_id,
            tenant=trace.tenant,
            variant=trace.variant,
            took_s=trace.duration_s,
            stage=told.stage,
            sentence=told.sentence,
            path=f"/console/requests/{trace.span_id}",
        )

    async def _get(self, path: str) -> dict[str, Any]:
        async with self._session.get(f"{self._url}{path}", headers=_headers(self._operator_key)) as reply:
            body = await reply.read()
            if reply.status != 200:
                raise UnansweredError(f"{path}, {reply.status}: {body[:300].decode(errors='replace')}")
            decoded: dict[str, Any] = msgspec.json.decode(body)
            return decoded


async def _answering_variant(reply: aiohttp.ClientResponse) -> str:
    """Read a stream to its end; the model of its last chunk is the variant that answered.

    Raises:
        UnansweredError: It ends in an error, or without `[DONE]`.
    """
    reader, variant = SseReader(), ""
    async for data in reply.content.iter_any():
        for event in reader.feed(data):
            if event == DONE_DATA:
                return variant
            chunk = msgspec.json.decode(event)
            if "error" in chunk:
                raise UnansweredError(str(chunk["error"].get("message")))
            variant = str(chunk["model"])
    raise UnansweredError("the answer broke off")


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
