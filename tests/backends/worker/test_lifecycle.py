from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from tests.workers import Served, working

pytestmark = [pytest.mark.models, pytest.mark.timeout(90)]


def until(condition: Callable[[], bool], *, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.02)


def listening(served: Served) -> None:
    until(Path(served.spec.socket_path).exists, timeout_s=20)


def engine_of(served: Served) -> psutil.Process:
    """The engine process of a worker."""
    parent = psutil.Process(served.process.pid)
    until(lambda: bool(parent.children()), timeout_s=10)
    return parent.children()[0]


def gone(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    return True


def test_a_loading_worker_says_so_and_takes_no_requests(openvino_spec: dict[str, Any]) -> None:
    with working(openvino_spec, wait=False) as served:
        listening(served)
        health = served.http.get("/healthz")
        assert (health.status_code, health.json()) == (503, {"state": "loading"})
        assert served.get("/load")["state"] == "loading"
        with pytest.raises(openai.InternalServerError) as refusal:
            served.chat()
        assert refusal.value.status_code == 503
        assert refusal.value.response.headers["retry-after"] == "1"


def test_only_this_user_may_connect(openvino_worker: Served) -> None:
    assert Path(openvino_worker.spec.socket_path).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("end", ["its standard input closes", "it is killed"])
def test_nothing_is_left_of_a_worker_when(openvino_spec: dict[str, Any], end: str) -> None:
    with working(openvino_spec, wait=False) as served:
        listening(served)
        engine = engine_of(served)
        if end == "it is killed":
            served.process.kill()
        else:
            assert served.process.stdin is not None
            served.process.stdin.close()
        served.process.wait(timeout=5)
        until(lambda: gone(engine), timeout_s=5)


def test_a_worker_told_to_stop_ends_what_it_has_and_takes_nothing_new(openvino_spec: dict[str, Any]) -> None:
    with working(openvino_spec) as served:
        stream = served.chat("Tell me a long story.", stream=True, max_tokens=150)
        next(stream)
        # The whole process group, as a terminal does: the engine process must not take it personally.
        for process in (engine_of(served), psutil.Process(served.process.pid)):
            process.send_signal(signal.SIGTERM)
        until(lambda: served.get("/load")["state"] == "draining", timeout_s=5)
        with pytest.raises(openai.InternalServerError, match="draining"):
            served.chat()
        assert list(stream)[-1].choices[0].finish_reason == "length"
        assert served.process.wait(timeout=15) == 0
        assert not Path(served.spec.socket_path).exists()


def test_a_stream_whose_engine_dies_ends_in_an_error_and_so_does_the_worker(openvino_spec: dict[str, Any]) -> None:
    with working(openvino_spec) as served:
        body = {
            "messages": [{"role": "user", "content": "Tell me a long story."}],
            "stream": True,
            "max_tokens": 1500,
        }
        with served.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            events = answer.iter_lines()
            next(events)
            os.kill(engine_of(served).pid, signal.SIGKILL)
            rest = [line for line in events if line]
        assert rest[-1].startswith('data: {"error":')
        assert served.process.wait(timeout=15) == 1
        assert "exit status -9" in served.log.read_text()


def test_a_corrupt_model_ends_the_worker_with_the_reason(openvino_spec: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(1000))
    with working({**openvino_spec, "model_path": str(tmp_path)}, wait=False) as served:
        assert served.process.wait(timeout=30) == 1
        assert "cannot load" in served.log.read_text()
