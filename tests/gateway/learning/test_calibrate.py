from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from backends.progress import Progress
from backends.types import LoadReport, VariantStatus, WorkerState
from gateway.decisions.schema import decisions, open_engine
from gateway.learning import calibrate as module
from gateway.learning.calibrate import GatewayGoneError, Tally, calibrate
from gateway.learning.calibrated import Answered, answered, results
from gateway.learning.tasks import TaskItem, TaskSet
from policies.checks import PatternCheck
from tests.gateways import USAGE_EVENT, Fleet, RunningGateway, local, remote, running, until
from tests.providers import Answer, ScriptedProvider, chat_events

PARIS = Answer(events=[*chat_events("Par", "is"), USAGE_EVENT])
SLOW = Answer(events=[*chat_events("Rome"), USAGE_EVENT], first_after_s=0.05)
BROKEN = Answer(status=500, body=b'{"error": {"message": "out of order"}}')


def tasks(count: int = 7) -> TaskSet:
    families = ("cities", "rivers")
    found = [
        TaskItem(id=f"t{n}", prompt=f"question {n}", family=families[n % 2], checks=(PatternCheck(pattern="Paris"),))
        for n in range(count)
    ]
    return TaskSet(name="test-set", items=tuple(found))


def from_log(directory: Path, asked: TaskSet) -> list[Answered]:
    engine = open_engine(f"sqlite:///{directory / 'trilemma.db'}")
    try:
        return answered(engine, asked.request_ids())
    finally:
        engine.dispose()


async def scored(gateway: RunningGateway, directory: Path, asked: TaskSet, *, count: int) -> list[Answered]:
    """What the log has, once the scores are there."""
    async with asyncio.timeout(5):
        while True:
            await gateway.services.log.flush()
            found = await asyncio.to_thread(from_log, directory, asked)
            if len([answer for answer in found if answer.score is not None]) >= count:
                return found
            await asyncio.sleep(0.02)


async def ask(gateway: RunningGateway, asked: TaskSet, *names: str, **options: Any) -> dict[str, Tally]:
    tallies = {name: Tally() for name in names}
    await calibrate(gateway.url, asked, tallies, **options)
    return tallies


def bodies(provider: ScriptedProvider) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in provider.requests]


async def test_every_variant_answers_every_task_by_way_of_the_log(tmp_path: Path) -> None:
    asked = tasks()
    async with (
        ScriptedProvider(PARIS) as right,
        ScriptedProvider(SLOW) as wrong,
        running(tmp_path, remote("right", right), remote("wrong", wrong)) as gateway,
    ):
        steps: list[Progress] = []
        tallies = await ask(gateway, asked, "right", "wrong", sink=steps.append)
        assert {name: (t.asked, t.answered, t.trouble) for name, t in tallies.items()} == {
            "right": (7, 7, ""),
            "wrong": (7, 7, ""),
        }
        assert {(step.variant, step.done) for step in steps} >= {("right", 1.0), ("wrong", 1.0)}
        for provider in (right, wrong):
            prompts = [body["messages"][0]["content"] for body in bodies(provider)]
            assert sorted(prompts) == sorted(item.prompt for item in asked.items)
            assert {(body["temperature"], body["max_tokens"], body["stream"]) for body in bodies(provider)} == {
                (0, 256, True)
            }
        found = await scored(gateway, tmp_path, asked, count=14)
        first, second = results(found, asked.request_ids())
        assert (first.variant, first.answered, first.families) == ("right", 7, {"cities": 1.0, "rivers": 1.0})
        assert (second.variant, second.score, second.families) == ("wrong", 0.0, {"cities": 0.0, "rivers": 0.0})
        assert second.ttft_s is not None
        assert second.ttft_s > 0.05
        assert first.cost_usd == pytest.approx(13e-6)


async def test_requests_carry_the_tags_and_name_the_variant(tmp_path: Path) -> None:
    asked = tasks(1)
    async with ScriptedProvider(PARIS) as provider, running(tmp_path, remote("a", provider)) as gateway:
        await ask(gateway, asked, "a")
        async with asyncio.timeout(3):
            while not (rows := await asyncio.to_thread(_decisions, tmp_path)):
                await asyncio.sleep(0.02)
        assert [(row["tags"], row["pinned"]) for row in rows] == [
            ({"calibration": "test-set", "family": "cities"}, True)
        ]


async def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    asked = tasks()
    done = [(key, "a") for key in list(asked.request_ids())[:4]]
    async with ScriptedProvider(PARIS) as provider, running(tmp_path, remote("a", provider)) as gateway:
        tallies = await ask(gateway, asked, "a", answered=done)
        assert (tallies["a"].asked, len(provider.requests)) == (3, 3)
        assert (await ask(gateway, asked, "a", answered=[(key, "a") for key in asked.request_ids()]))["a"].asked == 0


async def test_some_requests_run_alone_and_some_in_company(tmp_path: Path) -> None:
    slow = Answer(events=chat_events("x"), every_s=0.05)
    async with ScriptedProvider(slow) as provider, running(tmp_path, remote("a", provider)) as gateway:
        seen: Counter[int] = Counter()
        asking = asyncio.create_task(ask(gateway, tasks(8), "a", together=3))
        while not asking.done():
            seen[gateway.services.catalogue.view("a").in_flight] += 1
            await asyncio.sleep(0.01)
        assert seen.keys() >= {1, 3}
        assert max(seen) == 3


async def test_a_variant_that_keeps_failing_is_given_up_and_the_next_one_asked(tmp_path: Path) -> None:
    async with (
        ScriptedProvider(BROKEN) as broken,
        ScriptedProvider(PARIS) as fine,
        running(tmp_path, remote("broken", broken), remote("fine", fine)) as gateway,
    ):
        tallies = await ask(gateway, tasks(20), "broken", "fine")
        assert tallies["broken"].answered == 0
        assert tallies["broken"].asked <= 6
        assert "out of order" in tallies["broken"].trouble
        assert (tallies["fine"].answered, tallies["fine"].trouble) == (20, "")


async def test_a_variant_that_is_being_built_is_waited_for_while_others_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.05)
    path = tmp_path / "later.sock"
    building = VariantStatus(name="later", state=WorkerState.BUILDING, progress=0.4, message="distill")
    ready = VariantStatus(
        name="later", state=WorkerState.WARM, load=LoadReport(state=WorkerState.WARM), socket_path=str(path)
    )
    fleet = Fleet(states={"later": building})
    steps: list[Progress] = []
    async with (
        ScriptedProvider(PARIS) as now,
        ScriptedProvider(PARIS, socket_path=path) as later,
        running(tmp_path, local("later"), remote("now", now), fleet=fleet) as gateway,
    ):
        await gateway.services.catalogue.refresh()
        asking = asyncio.create_task(ask(gateway, tasks(3), "later", "now", sink=steps.append))
        await until(lambda: any((step.variant, step.done) == ("now", 1.0) for step in steps))
        assert (len(now.requests), later.requests) == (3, [])
        fleet.states["later"] = ready
        tallies = await asking
    assert [tallies[name].answered for name in ("later", "now")] == [3, 3]
    [waited, *_] = [step for step in steps if step.stage == "waiting"]
    assert (waited.variant, waited.done, waited.message) == ("later", 0.4, "building: distill")


async def test_a_variant_that_nobody_builds_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(module, "PATIENCE_S", 0.1)
    missing = VariantStatus(name="a", state=WorkerState.MISSING, message="a is not built")
    async with running(tmp_path, local("a"), fleet=Fleet(states={"a": missing})) as gateway:
        await gateway.services.catalogue.refresh()
        tally = (await ask(gateway, tasks(3), "a"))["a"]
        assert (tally.asked, tally.trouble) == (0, "missing: a is not built")


async def test_a_gateway_that_is_not_there_is_an_error() -> None:
    with pytest.raises(GatewayGoneError):
        await calibrate("http://127.0.0.1:9", tasks(1), {"a": Tally()})


def _decisions(directory: Path) -> list[dict[str, Any]]:
    engine = open_engine(f"sqlite:///{directory / 'trilemma.db'}")
    try:
        with engine.connect() as connection:
            return [dict(row._mapping) for row in connection.execute(decisions.select())]
    finally:
        engine.dispose()
