"""What must hold when a worker dies, a caller leaves, a port is taken, or the whole gateway is killed."""

from __future__ import annotations

import concurrent.futures
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import psutil
import pytest

from tests.chaos_tools import worker_of
from tests.serving import CONFIG, ROOT, Gateway, serving

pytestmark = [pytest.mark.models, pytest.mark.timeout(180)]

LONG = {
    "model": "quantized",
    "messages": [{"role": "user", "content": "Write a very long story about the sea, with many chapters."}],
    "max_tokens": 1500,
    "stream": True,
    "temperature": 1.2,
    "seed": 3,
}
ONLY_QUANTIZED = CONFIG.replace("warm: on_demand", "warm: on_demand, idle_stop_s: 2").replace(
    "max_running: 8", "max_running: 8, warm: on_demand"
)


@pytest.fixture
def own_gateway(models_var: Path, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that a test may break, one variant warm."""
    with serving(models_var, tmp_path, config=ONLY_QUANTIZED) as running:
        running.wait_for("quantized", "warm", timeout_s=60)
        yield running


def outcome(gateway: Gateway, decision_id: str, *, timeout_s: float = 3.0) -> dict[str, object]:
    """The outcome of a decision, as soon as it is there."""
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = gateway.get(f"/v1/decisions/{decision_id}").get("outcome")
        if found:
            return found  # type: ignore[return-value]
        time.sleep(0.05)
    raise AssertionError("no outcome")


def test_a_worker_killed_mid_stream_ends_in_an_error_event_and_is_back(own_gateway: Gateway) -> None:
    raw = own_gateway.client().chat.completions.with_streaming_response.create(**LONG)
    with raw as reply:
        lines = reply.iter_lines()
        for _ in range(10):
            next(lines)
        worker_of(own_gateway, "quantized").kill()
        rest = [line for line in lines if line]
    assert '"error"' in rest[-1]
    assert "data: [DONE]" not in rest
    assert outcome(own_gateway, reply.headers["x-trilemma-decision"])["ending"] == "failed"
    own_gateway.wait_for("quantized", "warm", timeout_s=10)


def test_a_caller_that_leaves_stops_the_generation(own_gateway: Gateway) -> None:
    with own_gateway.client().chat.completions.with_streaming_response.create(**LONG) as reply:
        lines = reply.iter_lines()
        for _ in range(10):
            next(lines)
    left_s = time.monotonic()
    worker = worker_of(own_gateway, "quantized")
    ended = outcome(own_gateway, reply.headers["x-trilemma-decision"])
    assert ended["ending"] == "cancelled"
    assert time.monotonic() - left_s < 1.5
    worker.cpu_percent()
    time.sleep(1.0)
    assert worker.cpu_percent() < 50, "the worker still generates"


def test_thirty_two_streams_on_one_variant_all_end_right(own_gateway: Gateway) -> None:
    def one(index: int) -> tuple[int, str | None]:
        stream = own_gateway.client(timeout=150).chat.completions.create(
            model="quantized",
            messages=[{"role": "user", "content": f"Count from {index} upwards."}],
            max_tokens=40,
            stream=True,
        )
        chunks = [chunk for chunk in stream if chunk.choices]
        return len(chunks), chunks[-1].choices[0].finish_reason

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        results = list(pool.map(one, range(32)))
    assert all(reason in {"stop", "length"} for _, reason in results)
    assert all(count > 1 for count, _ in results)


def test_an_idle_variant_is_stopped(own_gateway: Gateway) -> None:
    own_gateway.client().chat.completions.create(model="pruned", messages=LONG["messages"], max_tokens=2)
    own_gateway.wait_for("pruned", "cold", timeout_s=15)


def test_nothing_is_left_when_the_supervisor_is_killed(models_var: Path, tmp_path: Path) -> None:
    with serving(models_var, tmp_path, config=ONLY_QUANTIZED) as gateway:
        gateway.wait_for("quantized", "warm", timeout_s=60)
        children = psutil.Process(gateway.process.pid).children(recursive=True)
        assert len(children) >= 2
        gateway.process.kill()
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive


def test_sigterm_lets_streams_finish_and_leaves_nothing(models_var: Path, tmp_path: Path) -> None:
    with serving(models_var, tmp_path, config=ONLY_QUANTIZED) as gateway:
        gateway.wait_for("quantized", "warm", timeout_s=60)
        children = psutil.Process(gateway.process.pid).children(recursive=True)
        stream = gateway.client().chat.completions.create(**{**LONG, "max_tokens": 120})
        next(stream)
        gateway.process.send_signal(signal.SIGTERM)
        assert [chunk.choices[0].finish_reason for chunk in stream][-1] in {"stop", "length"}
        assert gateway.process.wait(timeout=20) == 0
        _, alive = psutil.wait_procs(children, timeout=2)
        assert not alive


def test_a_taken_port_is_a_clear_error(models_var: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "gateway.cli", "--var", str(tmp_path), "serve"]
        done = subprocess.run(
            [*command, "--port", str(taken.getsockname()[1])],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "in use" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_corrupt_model_file_is_told_and_others_still_serve(models_var: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    for source in (models_var / "models").iterdir():
        if source.name == "pruned":
            subprocess.run(["cp", "-r", str(source), str(tmp_path / "models")], check=True)
        elif not source.name.startswith("."):
            (tmp_path / "models" / source.name).symlink_to(source)
    file = next((tmp_path / "models" / "pruned").rglob("*.gguf"))
    file.chmod(0o644)
    with file.open("r+b") as stream:
        stream.seek(0)
        stream.write(b"not a model at all")
    with serving(models_var, tmp_path, config=ONLY_QUANTIZED) as gateway:
        gateway.wait_for("quantized", "warm", timeout_s=60)
        client = gateway.client(timeout=60)
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="pruned", messages=LONG["messages"], max_tokens=2)
        assert caught.value.status_code in {502, 503}
        assert client.chat.completions.create(model="quantized", messages=LONG["messages"], max_tokens=2).choices
