from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from backends.child import Child
from backends.client import Endpoint, VariantClient
from backends.errors import BackendError, ConnectError
from backends.supervisor.build import BuildPlan
from backends.supervisor.servers import ServerPlan
from backends.supervisor.supervisor import Supervisor
from backends.types import WorkerState
from tests.supervising import CHAT, Scene, fake_variant, process_is_gone, until_true

pytestmark = pytest.mark.timeout(90)  # Real processes, on machines that are busy.

PROGRAM = """
import asyncio, sys
from pathlib import Path
from backends.supervisor.servers import ServerPlan
from tests.supervising import Scene, Supervisor, FAKE_WORKER, fake_variant
server = "import time; from backends.lifeline import follow_parent; follow_parent(); time.sleep(99)"
async def main():
    scene = Scene(Path(sys.argv[1]), fake_variant("tiny"), fake_variant("lazy"))
    supervisor = Supervisor(
        scene.variants, store=scene.store, run_directory=scene.run_directory, control_socket=scene.control_socket,
        worker_argv=FAKE_WORKER, servers=[ServerPlan(name="api", argv=(sys.executable, "-c", server))],
    )
    supervisor.stop_on_signals()
    await supervisor.run()
asyncio.run(main())
"""


async def all_warm(scene: Scene) -> dict[str, str | None]:
    """Wait until every variant is warm; returns their sockets."""
    control = scene.control()
    try:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(ConnectError):  # A killed supervisor leaves its socket behind.
                    statuses = await control.variants()
                    if {status.state for status in statuses} == {WorkerState.WARM}:
                        return {status.name: status.socket_path for status in statuses}
                await asyncio.sleep(0.05)
    finally:
        await control.aclose()


@asynccontextmanager
async def supervisor_process(scene: Scene) -> AsyncIterator[tuple[Child, list[int]]]:
    """A supervisor in a process of its own, and the ids of its children, once all run."""
    for variant in scene.variants:
        scene.publish(variant)
    child = await Child.start((sys.executable, "-c", PROGRAM, str(scene.root)), name="supervisor")
    try:
        await all_warm(scene)
        children = [each.pid for each in psutil.Process(child.pid).children(recursive=True)]
        assert len(children) == 3
        yield child, children
    finally:
        child.kill()
        await child.wait()


async def test_children_of_a_killed_supervisor_vanish_by_themselves(tmp_path: Path) -> None:
    scene = Scene(tmp_path, fake_variant("tiny"), fake_variant("lazy"))
    async with supervisor_process(scene) as (child, children):
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        await until_true(lambda: all(map(process_is_gone, children)))
    async with supervisor_process(scene) as (child, _):  # It starts over what was left lying about.
        assert await child.stop(grace_s=10) == 0


async def test_sigterm_lets_a_stream_finish_and_leaves_no_process(tmp_path: Path) -> None:
    scene = Scene(tmp_path, fake_variant("tiny"), fake_variant("lazy"))
    async with supervisor_process(scene) as (child, children):
        client = VariantClient(Endpoint(socket_path=(await all_warm(scene))["tiny"]))
        stream = await client.stream(CHAT, b"{}")
        await anext(stream)
        os.kill(child.pid, signal.SIGTERM)
        assert len([data async for data in stream]) == 4
        await client.aclose()
        assert await child.wait() == 0
        assert all(map(process_is_gone, children))
    assert list(scene.run_directory.glob("*.sock")) == []


async def test_a_second_stop_does_not_wait_for_stubborn_children(tmp_path: Path) -> None:
    variant = fake_variant("tiny")
    scene = Scene(tmp_path, variant)
    scene.publish(variant, stubborn=True)
    async with scene.supervised() as supervisor:
        await scene.until_state("tiny", WorkerState.WARM)
        supervisor.stop()
        await asyncio.sleep(0.1)
        supervisor.stop()
        await until_true(lambda: process_is_gone(scene.pids("tiny")[0]))


async def test_two_supervisors_never_share_a_directory(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    async with scene.supervised():
        await until_true(scene.control_socket.exists)
        second = Supervisor((), store=scene.store, run_directory=scene.run_directory, control_socket=tmp_path / "x")
        with pytest.raises(BackendError, match="another supervisor"):
            await second.run()


SERVER = """
import os, signal, socket, sys, time
listening = socket.socket(fileno=int(sys.argv[1]))
log = open(sys.argv[2], "a", buffering=1)
workers = open(sys.argv[3]).read().split() if len(sys.argv) > 3 else []
def end(*_):
    time.sleep(0.2)
    alive = [pid for pid in workers if os.path.exists(f"/proc/{pid}")]
    print("end", len(alive), file=log)
    sys.exit()
signal.signal(signal.SIGTERM, end)
while True:
    connection, _ = listening.accept()
    connection.sendall(str(os.getpid()).encode())
    connection.close()
"""


def who_serves(address: tuple[str, int]) -> int:
    with socket.create_connection(address) as connection:
        return int(connection.recv(100))


async def test_an_api_server_that_dies_is_replaced_on_the_same_socket(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        argv = (sys.executable, "-c", SERVER, str(fd), str(tmp_path / "log"))
        async with scene.supervised(servers=[ServerPlan(name="api", argv=argv, pass_fds=(fd,))]):
            first = await asyncio.to_thread(who_serves, listening.getsockname())
            os.kill(first, signal.SIGKILL)
            await until_true(lambda: process_is_gone(first))
            assert await asyncio.to_thread(who_serves, listening.getsockname()) != first


async def test_api_servers_end_before_the_workers_they_need(tmp_path: Path) -> None:
    variant = fake_variant("tiny")
    scene = Scene(tmp_path, variant)
    scene.publish(variant)
    starts = scene.run_directory / "tiny.starts"
    wait = f"import os, time\nwhile not os.path.exists({str(starts)!r}): time.sleep(0.01)\ntime.sleep(0.1)\n"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        argv = (sys.executable, "-c", wait + SERVER, str(fd), str(tmp_path / "log"), str(starts))
        async with scene.supervised(servers=[ServerPlan(name="api", argv=argv, pass_fds=(fd,))]):
            await scene.until_state("tiny", WorkerState.WARM)
            await asyncio.to_thread(who_serves, listening.getsockname())
    assert (tmp_path / "log").read_text() == "end 1\n"


async def test_an_api_server_that_cannot_start_ends_everything_with_its_name(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    argv = (sys.executable, "-c", "raise SystemExit(4)")
    running = scene.supervised(servers=[ServerPlan(name="api", argv=argv)])
    await running.__aenter__()
    await until_true(scene.control_socket.exists)
    await until_true(lambda: not scene.control_socket.exists())
    with pytest.raises(BackendError, match="api ends with code 4"):
        await running.__aexit__(None, None, None)


def builder(tmp_path: Path, *lines: dict[str, object], then: str = "") -> tuple[str, ...]:
    """A build program that tells these steps, each once the file named after its stage is there."""
    code = (
        "import json, os, sys, time\n"
        f"for step in json.loads({json.dumps(json.dumps(lines))}):\n"
        f"    while not os.path.exists(os.path.join({str(tmp_path)!r}, step['stage'])): time.sleep(0.01)\n"
        "    print(json.dumps(step), flush=True)\n"
        f"{then}\n"
    )
    return (sys.executable, "-c", code)


async def test_a_variant_starts_as_soon_as_its_build_is_ready_while_others_are_being_built(tmp_path: Path) -> None:
    first, second = fake_variant("first"), fake_variant("second")
    scene = Scene(tmp_path, first, second)
    argv = builder(
        tmp_path,
        {"variant": "first", "stage": "convert", "done": 0.5},
        {"variant": "first", "stage": "ready", "done": 1.0},
        {"variant": "second", "stage": "distill", "done": 0.25, "message": "loss 2.0"},
        then="time.sleep(60)",
    )
    async with scene.supervised(build=BuildPlan(argv=argv, variants=("first", "second"))):
        await until_true(lambda: scene.state("first") is WorkerState.BUILDING)
        (tmp_path / "convert").touch()
        await until_true(lambda: scene.status("first").progress == 0.5)
        assert scene.status("second").message == "waits to be built"
        scene.publish(first)
        (tmp_path / "ready").touch()
        (tmp_path / "distill").touch()
        await scene.until_state("first", WorkerState.WARM)
        await until_true(lambda: scene.status("second").progress == 0.25)
        assert scene.status("second").state is WorkerState.BUILDING
        assert scene.status("second").message == "distill loss 2.0"
        (building,) = [each for each in psutil.Process().children() if "json.loads" in " ".join(each.cmdline())]
        assert building.nice() == 19


async def test_a_build_that_fails_says_why_and_is_not_tried_again(tmp_path: Path) -> None:
    scene = Scene(tmp_path, fake_variant("first"), fake_variant("second"))
    (tmp_path / "failed").touch()
    argv = builder(
        tmp_path, {"variant": "first", "stage": "failed", "message": "disk full"}, then="sys.exit('no more room')"
    )
    async with scene.supervised(build=BuildPlan(argv=argv, variants=("first", "second"))):
        started = time.monotonic()
        await until_true(lambda: "no more room" in scene.status("second").message)
        assert scene.status("first").message == "the build failed: disk full"
        assert {scene.state("first"), scene.state("second")} == {WorkerState.MISSING}
        assert time.monotonic() - started < 5
