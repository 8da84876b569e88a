from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from backends.errors import BackendError, EngineError, NotFoundError
from backends.types import Engine, VariantKind, WorkerState
from tests.supervising import Scene, fake_variant, process_is_gone, until_true

pytestmark = pytest.mark.timeout(90)  # Real processes, on machines that are busy.

WARM = WorkerState.WARM


async def test_variants_that_are_always_warm_start_one_after_another_in_order(tmp_path: Path) -> None:
    first, second, remote = (
        fake_variant("first"),
        fake_variant("second"),
        fake_variant("far", kind=VariantKind.REMOTE, engine=Engine.OPENAI, source="http://127.0.0.1:9"),
    )
    scene = Scene(tmp_path, first, second, remote)
    scene.publish(first, load_s=0.3)
    scene.publish(second)
    async with scene.supervised():
        await scene.until_state("first", WorkerState.LOADING)
        assert scene.state("second") is WorkerState.COLD
        await scene.until_state("first", WARM)
        await scene.until_state("second", WARM)
        assert [status.name for status in scene.supervisor.fleet.statuses()] == ["first", "second"]
        assert await scene.ask("second") == scene.status("second").model_path


async def test_callers_of_a_cold_variant_share_one_start(tmp_path: Path) -> None:
    variant = fake_variant("lazy", warm="on_demand")
    scene = Scene(tmp_path, variant)
    scene.publish(variant, load_s=0.3)
    async with scene.supervised() as supervisor:
        await scene.until_state("lazy", WorkerState.COLD)
        found = await asyncio.gather(*(supervisor.fleet.ensure("lazy") for _ in range(5)))
        assert {status.state for status in found} == {WARM}
        assert len(scene.pids("lazy")) == 1


async def test_loading_stops_when_the_last_caller_has_left(tmp_path: Path) -> None:
    variant = fake_variant("lazy", warm="on_demand")
    scene = Scene(tmp_path, variant)
    scene.publish(variant, load_s=60)
    async with scene.supervised() as supervisor:
        callers = [asyncio.create_task(supervisor.fleet.ensure("lazy")) for _ in range(2)]
        await until_true(lambda: len(scene.pids("lazy")) == 1)
        callers[0].cancel()
        await asyncio.sleep(0.3)
        assert scene.state("lazy") is WorkerState.LOADING
        callers[1].cancel()
        await scene.until_state("lazy", WorkerState.COLD)
        assert process_is_gone(scene.pids("lazy")[0])


async def test_a_killed_worker_is_back_within_seconds(tmp_path: Path) -> None:
    variant = fake_variant("tiny")
    scene = Scene(tmp_path, variant)
    scene.publish(variant)
    async with scene.supervised():
        before = await scene.until_state("tiny", WARM)
        os.kill(scene.pids("tiny")[0], signal.SIGKILL)
        await until_true(lambda: scene.status("tiny").restarts == 1)
        after = await scene.until_state("tiny", WARM)
        assert after.socket_path != before.socket_path
        await scene.ask("tiny")


async def test_a_caller_waits_through_the_restart_of_a_killed_worker(tmp_path: Path) -> None:
    variant = fake_variant("tiny")
    scene = Scene(tmp_path, variant)
    scene.publish(variant)
    async with scene.supervised() as supervisor:
        await scene.until_state("tiny", WARM)
        os.kill(scene.pids("tiny")[0], signal.SIGKILL)
        await until_true(lambda: scene.state("tiny") is not WARM)
        assert (await supervisor.fleet.ensure("tiny")).state is WARM


async def test_a_worker_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    variant = fake_variant("tiny")
    scene = Scene(tmp_path, variant)
    scene.publish(variant, hang_after_s=1.0)
    async with scene.supervised():
        await scene.until_state("tiny", WARM)
        await until_true(lambda: len(scene.pids("tiny")) == 2)
        assert process_is_gone(scene.pids("tiny")[0])


async def test_a_corrupt_build_fails_with_its_reason_and_is_not_tried_in_a_tight_loop(tmp_path: Path) -> None:
    variant = fake_variant("broken")
    scene = Scene(tmp_path, variant)
    scene.publish(variant, exit_code=3)
    async with scene.supervised() as supervisor:
        status = await scene.until_state("broken", WorkerState.FAILED)
        assert "the model file is corrupt" in status.message
        started = time.monotonic()
        with pytest.raises(EngineError, match="model file is corrupt"):
            await supervisor.fleet.ensure("broken")
        await asyncio.sleep(max(0.0, started + 3.0 - time.monotonic()))
        assert 2 <= len(scene.pids("broken")) <= 6
        scene.publish(variant)
        await scene.until_state("broken", WARM)


async def test_an_idle_variant_is_stopped_and_starts_again_when_asked(tmp_path: Path) -> None:
    variant = fake_variant("tiny", idle_stop_s=0.5)
    scene = Scene(tmp_path, variant)
    scene.publish(variant)
    async with scene.supervised() as supervisor:
        await scene.until_state("tiny", WARM)
        await scene.until_state("tiny", WorkerState.COLD)
        assert process_is_gone(scene.pids("tiny")[0])
        await supervisor.fleet.ensure("tiny")
        assert len(scene.pids("tiny")) == 2


async def test_an_idle_variant_makes_room_for_the_one_that_is_asked_for(tmp_path: Path) -> None:
    stays = fake_variant("stays", memory_bytes=100)
    lazy = [fake_variant(name, warm="on_demand", memory_bytes=100) for name in ("old", "recent", "wanted")]
    scene = Scene(tmp_path, stays, *lazy)
    for variant in (stays, *lazy):
        scene.publish(variant, resident_bytes=100, idle_s={"old": 50.0, "recent": 20.0}.get(variant.name, 90.0))
    async with scene.supervised(memory_budget_bytes=300) as supervisor:
        for name in ("stays", "old", "recent"):
            await supervisor.fleet.ensure(name)
        await asyncio.sleep(2.2)  # A worker that has just become warm is not evicted.
        await supervisor.fleet.ensure("wanted")
        assert [scene.state(name) for name in ("stays", "old", "recent")] == [WARM, WorkerState.COLD, WARM]


async def test_a_variant_that_cannot_fit_is_refused_with_figures(tmp_path: Path) -> None:
    variant = fake_variant("big", warm="on_demand", memory_bytes=2**30)
    scene = Scene(tmp_path, variant)
    scene.publish(variant)
    async with scene.supervised(memory_budget_bytes=2**29) as supervisor:
        with pytest.raises(BackendError, match="1024 MiB; 0 of 512 MiB"):
            await supervisor.fleet.ensure("big")
        assert scene.pids("big") == []


async def test_a_better_build_takes_over_without_failing_a_request(tmp_path: Path) -> None:
    variant = fake_variant("tiny")
    scene = Scene(tmp_path, variant)
    scene.publish(variant, tokens_s=0.1)
    answered: list[str] = []
    async with scene.supervised():
        await scene.until_state("tiny", WARM)

        async def keep_asking() -> None:
            while len(set(answered)) < 2 or not process_is_gone(scene.pids("tiny")[0]):
                answered.append(await scene.ask("tiny"))

        asking = [asyncio.create_task(keep_asking()) for _ in range(4)]
        await until_true(lambda: len(answered) > 4)
        revision = scene.publish(variant, tokens_s=0.1, load_s=0.5)
        await asyncio.wait_for(asyncio.gather(*asking), 60)
        assert scene.state("tiny") is WARM
        assert len(scene.pids("tiny")) == 2
    assert answered[-1].endswith(revision)
    assert not answered[0].endswith(revision)


async def test_a_worse_build_that_does_not_load_leaves_the_old_one_serving(tmp_path: Path) -> None:
    variant = fake_variant("tiny")
    scene = Scene(tmp_path, variant)
    revision = scene.publish(variant)
    async with scene.supervised():
        await scene.until_state("tiny", WARM)
        scene.publish(variant, exit_code=1)
        await until_true(lambda: len(scene.pids("tiny")) >= 3)
        assert scene.state("tiny") is WARM
        assert (await scene.ask("tiny")).endswith(revision)


async def test_a_stopped_variant_stays_stopped_until_it_is_asked_for(tmp_path: Path) -> None:
    variant = fake_variant("tiny")
    scene = Scene(tmp_path, variant)
    scene.publish(variant)
    async with scene.supervised() as supervisor:
        await scene.until_state("tiny", WARM)
        assert (await supervisor.fleet.rest("tiny")).state is WorkerState.COLD
        await asyncio.sleep(0.3)
        assert scene.state("tiny") is WorkerState.COLD
        assert (await supervisor.fleet.ensure("tiny")).state is WARM


async def test_what_is_unknown_or_not_built_is_an_error_that_says_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path, fake_variant("unbuilt"))
    async with scene.supervised() as supervisor:
        with pytest.raises(NotFoundError, match="other"):
            await supervisor.fleet.ensure("other")
        with pytest.raises(BackendError, match=r"unbuilt is missing: .*not built"):
            await supervisor.fleet.ensure("unbuilt")
