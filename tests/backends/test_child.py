from __future__ import annotations

import asyncio
import os
import signal
import sys
import time

import psutil
import pytest

from backends.child import Child

pytestmark = pytest.mark.timeout(90)  # Real processes, on machines that are busy.

SLEEP = "import time; time.sleep(60)"


async def gone(pid: int, *, within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


async def test_output_arrives_line_by_line_with_a_last_line_that_is_not_ended() -> None:
    logged: list[str] = []
    child = await Child.start(
        python("import sys; print(sys.stdin.readline().strip()); sys.stderr.write('é\\nend')"),
        name="talker",
        first_line=b"hello\n",
        log=logged.append,
    )
    assert await child.wait() == 0
    assert sorted(logged) == ["end", "hello", "é"]
    assert "end" in child.tail


async def test_standard_output_can_be_heard_apart() -> None:
    out: list[str] = []
    err: list[str] = []
    code = "import sys; print('a'); print('x' * 200_000); sys.stderr.write('b')"
    child = await Child.start(python(code), name="talker", log=err.append, on_stdout=out.append)
    assert await child.wait() == 0
    assert (out[0], "".join(out[1:]), err) == ("a", "x" * 200_000, ["b"])


async def test_a_child_that_ignores_the_request_to_end_is_killed_after_the_grace() -> None:
    logged: list[str] = []
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); {SLEEP}"
    child = await Child.start(python(code), name="stubborn", log=logged.append)
    while not logged:
        await asyncio.sleep(0.01)
    started = time.monotonic()
    assert await child.stop(grace_s=0.2) == -signal.SIGKILL
    assert 0.2 <= time.monotonic() - started < 2
    assert await child.stop(grace_s=0.2) == -signal.SIGKILL


async def test_cancelling_a_stop_kills_at_once() -> None:
    logged: list[str] = []
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); {SLEEP}"
    child = await Child.start(python(code), name="stubborn", log=logged.append)
    while not logged:
        await asyncio.sleep(0.01)
    stopping = asyncio.ensure_future(child.stop(grace_s=60))
    await asyncio.sleep(0.05)
    stopping.cancel()
    await asyncio.wait([stopping])
    assert await child.wait() == -signal.SIGKILL


@pytest.mark.parametrize("end", ["kill", "exit"])
async def test_what_a_child_has_started_ends_with_it(end: str) -> None:
    logged: list[str] = []
    after = SLEEP if end == "kill" else ""
    code = f"import subprocess as s, sys; print(s.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True); {after}"
    child = await Child.start(python(code), name="parent", log=logged.append)
    while not logged:
        await asyncio.sleep(0.01)
    if end == "kill":
        child.kill()
    await child.wait()
    await gone(int(logged[0]))


async def test_a_child_lives_in_its_own_session_and_at_its_own_priority() -> None:
    child = await Child.start(python(SLEEP), name="nice", niceness=19)
    assert os.getsid(child.pid) == child.pid
    assert psutil.Process(child.pid).nice() == 19
    child.kill()
    await child.wait()
    assert not child.running


def test_a_follower_ends_when_its_parent_is_killed() -> None:
    follower = f"from backends.lifeline import follow_parent; follow_parent(); print('up', flush=True); {SLEEP}"
    parent = (
        "import asyncio, os, signal, sys\n"
        "from backends.child import Child\n"
        "async def main():\n"
        "    up = asyncio.Event()\n"
        f"    child = await Child.start((sys.executable, '-c', {follower!r}), name='x', log=lambda line: up.set())\n"
        "    await up.wait()\n"
        "    print(child.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )

    async def run() -> None:
        logged: list[str] = []
        child = await Child.start(python(parent), name="parent", log=None, on_stdout=logged.append)
        assert await child.wait() == -signal.SIGKILL
        await gone(int(logged[0]))

    asyncio.run(run())
