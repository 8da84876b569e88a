from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from backends.errors import EngineError
from backends.sockets import short_socket_path
from backends.types import Engine, WorkerState
from backends.worker.process import WorkerProcess
from backends.worker.spec import WorkerSpec

pytestmark = pytest.mark.timeout(90)  # Real processes, on machines that are busy.

FAKE = (sys.executable, str(Path(__file__).parents[2] / "fake_worker.py"))


def spec_in(directory: Path, **script: object) -> WorkerSpec:
    (directory / "script.json").write_text(json.dumps(script))
    return WorkerSpec(
        name="tiny",
        engine=Engine.OPENVINO,
        model_path=str(directory),
        socket_path=str(directory / "run" / "tiny.sock"),
        context_tokens=100,
        max_running=4,
    )


async def test_a_worker_is_ready_once_it_is_warm_and_tells_its_load(tmp_path: Path) -> None:
    spec = spec_in(tmp_path, load_s=0.3)
    started = time.monotonic()
    async with await WorkerProcess.start(spec, argv=FAKE) as worker:
        await worker.wait_ready(timeout_s=40)
        assert time.monotonic() - started >= 0.3
        assert (await worker.load()).state is WorkerState.WARM
        assert worker.running
    assert not worker.running
    assert not psutil.pid_exists(worker.pid)
    assert not Path(worker.spec.socket_path).exists()


async def test_a_worker_in_a_deep_directory_and_over_a_stale_socket_still_starts(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    spec = spec_in(deep)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(short_socket_path(Path(spec.socket_path))))
    async with await WorkerProcess.start(spec, argv=FAKE) as worker:
        await worker.wait_ready(timeout_s=40)


async def test_a_worker_that_dies_while_it_loads_says_why(tmp_path: Path) -> None:
    async with await WorkerProcess.start(spec_in(tmp_path, exit_code=3), argv=FAKE) as worker:
        with pytest.raises(EngineError, match=r"(?s)exited with code 3.*model file is corrupt"):
            await worker.wait_ready(timeout_s=40)


async def test_a_worker_that_does_not_get_ready_in_time_is_left_to_the_caller(tmp_path: Path) -> None:
    async with await WorkerProcess.start(spec_in(tmp_path, load_s=60), argv=FAKE) as worker:
        with pytest.raises(EngineError, match=r"not ready after 0\.5 s"):
            await worker.wait_ready(timeout_s=0.5)
        assert worker.running


async def test_stopping_lets_a_request_in_flight_finish(tmp_path: Path) -> None:
    worker = await WorkerProcess.start(spec_in(tmp_path, tokens_s=0.5), argv=FAKE)
    await worker.wait_ready(timeout_s=40)
    stream = await worker.client.stream("/v1/chat/completions", b"{}")
    await anext(stream)
    stopping = asyncio.ensure_future(worker.stop(grace_s=10))
    assert len([data async for data in stream]) == 4
    assert await stopping == 0


async def test_a_worker_that_will_not_stop_is_killed_after_the_grace(tmp_path: Path) -> None:
    worker = await WorkerProcess.start(spec_in(tmp_path, stubborn=True), argv=FAKE)
    await worker.wait_ready(timeout_s=40)
    assert await worker.stop(grace_s=0.2) == -signal.SIGKILL
