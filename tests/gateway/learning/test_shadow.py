from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.types import LoadReport, VariantStatus, WorkerState
from gateway.learning import shadow as module
from gateway.learning.reference import choose, may_see
from gateway.learning.shadow import ShadowStats
from gateway.routing.candidates import freeze
from policies.types import CandidateState, Decision, Exclusion, ExclusionReason, Verdict
from tests.gateways import HELLO, USAGE_EVENT, Fleet, RunningGateway, local, opened, running, until
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body

CHAT = "/v1/chat/completions"
FAST = Answer(body=completion_body("It is Paris."))
AGREES = Answer(events=[*chat_events("Paris ", "it is!"), USAGE_EVENT])
NEVER_ENDS = Answer(events=chat_events("Par", finish=None), ending="stall")


@dataclass
class Pair:
    """A gateway over `fast`, which answers, and `full`, which is asked too."""

    gateway: RunningGateway
    fast: ScriptedProvider
    full: ScriptedProvider
    fleet: Fleet

    @property
    def stats(self) -> ShadowStats:
        return self.gateway.services.signals.stats.shadow

    async def ask(self, **fields: Any) -> str:
        response, _ = await self.gateway.post(CHAT, HELLO | fields)
        assert response.status == 200
        return response.headers["x-trilemma-decision"]

    async def report(self, name: str, **load: Any) -> None:
        """Have the supervisor report a load, and wait until the gateway knows."""
        status = self.fleet.states[name]
        report = LoadReport(state=WorkerState.WARM, **load)
        self.fleet.states[name] = msgspec.structs.replace(status, load=report)
        await self.gateway.services.catalogue.refresh()


@asynccontextmanager
async def pair(
    directory: Path, monkeypatch: pytest.MonkeyPatch, *answers: Answer, share: float = 1.0
) -> AsyncIterator[Pair]:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    sockets = {name: directory / f"{name}.sock" for name in ("fast", "full")}
    states = {
        name: VariantStatus(
            name=name, state=WorkerState.WARM, load=LoadReport(state=WorkerState.WARM), socket_path=str(path)
        )
        for name, path in sockets.items()
    }
    fleet = Fleet(states=states)
    variants = [local("fast", quality=0.9), local("full", quality=0.1)]
    training = {"shadow_share": share, "reference": "full"}
    async with (
        ScriptedProvider(FAST, socket_path=sockets["fast"]) as fast,
        ScriptedProvider(*(answers or (AGREES,)), socket_path=sockets["full"]) as full,
        running(directory, *variants, fleet=fleet, training=training) as gateway,
    ):
        yield Pair(gateway=gateway, fast=fast, full=full, fleet=fleet)


async def test_the_reference_is_asked_the_same_and_its_agreement_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, monkeypatch) as both:
        decision_id = await both.ask(max_tokens=7)
        await until(lambda: both.stats.compared == 1)
        [row] = (await both.gateway.record(decision_id))["observations"]
        assert (row["source"], row["name"], row["score"], row["weight"]) == ("agreement", "full", 1.0, 0.25)
        assert 0 < row["cost_usd"] == both.stats.cost_usd
        assert row["comment"] is None
        [asked] = both.full.requests
        assert json.loads(asked.body) == HELLO | {
            "model": "full", "max_tokens": 7, "stream": True, "stream_options": {"include_usage": True},
        }  # fmt: skip


@pytest.mark.parametrize(
    "fields", [{"temperature": 0.7}, {"n": 2}, {"model": "fast"}, {"model": "full"}, {"tools": []}]
)
async def test_only_routed_greedy_answers_of_other_variants_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    whole = Answer(body=completion_body("Paris"))
    async with pair(tmp_path, monkeypatch, whole) as both:
        await both.ask(**fields)
        await asyncio.sleep(0.2)
        assert both.stats == ShadowStats()
        assert len(both.full.requests) == (fields.get("model") == "full")


async def test_nothing_is_asked_where_the_share_is_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(tmp_path, monkeypatch, share=0.0) as both:
        await both.ask()
        await asyncio.sleep(0.2)
        assert both.stats == ShadowStats()


async def test_a_request_breaks_the_question_off_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(tmp_path, monkeypatch, NEVER_ENDS) as both:
        monkeypatch.setattr(module, "LOOK_EVERY_S", 10.0)  # So that only the request itself can do it.
        monkeypatch.setattr(module, "QUIET_LOOKS", 0)
        await both.ask()
        await until(lambda: len(both.full.requests) == 1)
        await both.ask(temperature=1)
        await until(lambda: both.full.left == 1)
        await until(lambda: both.stats.broken_off == 1)
        assert both.stats.compared == 0
        assert both.stats.cost_usd > 0


async def test_requests_of_other_processes_are_waited_for_and_given_way_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, monkeypatch, NEVER_ENDS) as both:
        await both.report("fast", running=1)
        await both.ask()
        await asyncio.sleep(0.3)
        assert (both.stats.waiting, len(both.full.requests)) == (0, 0), "taken up, not put"
        await both.report("fast")
        await until(lambda: len(both.full.requests) == 1)
        await both.report("full", running=2)
        await until(lambda: both.full.left == 1)
        assert both.stats.broken_off == 1


async def test_a_question_counts_as_no_load_when_a_request_is_routed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, monkeypatch, NEVER_ENDS) as both:
        await both.ask()
        await until(lambda: len(both.full.requests) == 1)
        await both.report("full", running=1)
        _, full = freeze(both.gateway.services.catalogue.views())
        assert (full.running, full.queued, both.stats.broken_off) == (0, 0, 0)


async def test_what_waits_is_bounded_in_number_and_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    monkeypatch.setattr(module, "PATIENCE_S", 0.6)
    async with pair(tmp_path, monkeypatch) as both:
        await both.report("full", queued=1)
        for _ in range(4):
            await both.ask()
            await asyncio.sleep(0.01)
        assert (both.stats.waiting, both.stats.dropped) == (2, 1)
        await until(lambda: both.stats.dropped == 4)
        assert both.full.requests == []


async def test_a_reference_that_fails_gives_no_judgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(tmp_path, monkeypatch, Answer(status=500, body=b"{}"), AGREES) as both:
        first = await both.ask()
        await until(lambda: both.stats.failed == 1)
        assert (await both.gateway.record(first))["observations"] == []
        await both.ask()
        await until(lambda: both.stats.compared == 1)


async def test_a_gateway_that_stops_does_not_wait_for_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, monkeypatch, NEVER_ENDS) as both:
        await both.ask()
        await until(lambda: len(both.full.requests) == 1)
        closing_s = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - closing_s < 1.0
    assert both.full.left == 1


async def test_the_best_local_variant_is_the_reference_unless_stated(tmp_path: Path) -> None:
    far = {"kind": "remote", "engine": "openai", "source": "http://127.0.0.1:9"}
    variants = [local("far", quality=1.0, **far), local("a", quality=0.4), local("b", quality=0.6, kind="full")]
    async with opened(tmp_path, *variants) as services:
        views = services.catalogue.views()
        assert choose(views, stated=None) == "b"
        assert choose(views, stated="far") == "far"
        assert choose(views[:1], stated=None) is None


BARS = {"unavailable", "not_requested", "rule", "context", "capability"}


@pytest.mark.parametrize(("reason", "expected"), [(None, True), *((r, r not in BARS) for r in ExclusionReason)])
def test_what_keeps_a_request_from_a_variant_keeps_it_from_being_asked(
    reason: ExclusionReason | None, expected: bool
) -> None:
    excluded = None if reason is None else Exclusion(reason=reason, detail="")
    verdict = Verdict(
        variant="full",
        state=CandidateState.WARM,
        excluded_because=excluded,
        estimate=None,
        utility=None,
        propensity=0.0,
    )
    decision = Decision(choice=None, verdicts=(verdict,))
    assert may_see(decision, "full") is expected
    assert not may_see(decision, "other")
    assert not may_see(None, "full")
