from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backends import errors
from backends.supervisor.control import ControlClient
from backends.types import WorkerState
from tests.supervising import Scene, fake_variant, process_is_gone, until_true

pytestmark = pytest.mark.timeout(90)  # Real processes, on machines that are busy.


async def test_another_process_sees_starts_and_stops_variants(tmp_path: Path) -> None:
    variant = fake_variant("lazy", warm="on_demand")
    scene = Scene(tmp_path, variant)
    scene.publish(variant)
    async with scene.supervised():
        control = scene.control()
        await until_true(scene.control_socket.exists)
        started = await control.start("lazy", timeout_s=40)
        assert started.state is WorkerState.WARM
        assert [status.name for status in await control.variants()] == ["lazy"]
        assert (await control.stop("lazy")).state is WorkerState.COLD
        assert process_is_gone(scene.pids("lazy")[0])
        await control.aclose()


@pytest.mark.parametrize("leave", ["timeout", "cancellation"])
async def test_a_caller_that_leaves_withdraws_its_wish(tmp_path: Path, leave: str) -> None:
    variant = fake_variant("lazy", warm="on_demand")
    scene = Scene(tmp_path, variant)
    scene.publish(variant, load_s=60)
    async with scene.supervised():
        control = scene.control()
        await until_true(scene.control_socket.exists)
        starting = asyncio.create_task(control.start("lazy", timeout_s=1 if leave == "timeout" else 60))
        await scene.until_state("lazy", WorkerState.LOADING)
        if leave == "cancellation":
            starting.cancel()
        await asyncio.wait({starting})
        assert starting.cancelled() or isinstance(starting.exception(), errors.UpstreamTimeoutError)
        await scene.until_state("lazy", WorkerState.COLD)
        await control.aclose()


async def test_errors_reach_the_caller_with_their_reason(tmp_path: Path) -> None:
    broken, unbuilt = fake_variant("broken", warm="on_demand"), fake_variant("unbuilt")
    scene = Scene(tmp_path, broken, unbuilt)
    scene.publish(broken, exit_code=1)
    async with scene.supervised():
        control = scene.control()
        await until_true(scene.control_socket.exists)
        with pytest.raises(errors.NotFoundError, match="nothing"):
            await control.start("nothing", timeout_s=20)
        with pytest.raises(errors.OverloadedError, match="model file is corrupt"):
            await control.start("broken", timeout_s=40)
        with pytest.raises(errors.OverloadedError, match="not built"):
            await control.start("unbuilt", timeout_s=20)
        await control.aclose()


async def test_without_a_supervisor_the_client_says_so(tmp_path: Path) -> None:
    control = ControlClient(tmp_path / "none.sock")
    with pytest.raises(errors.ConnectError):
        await control.variants()
    await control.aclose()
