"""Workers that die, hang or run out of memory: whoever asks is answered by another variant."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.chaos_tools import ask, ask_together, background, until_true, worker_of
from tests.providers import Answer, completion_body
from tests.serving import Gateway, serving

pytestmark = [pytest.mark.models, pytest.mark.timeout(180)]

CONFIG = """
variants:
  - {{name: quantized, kind: quantized, engine: openvino, source: "built:q8_0", quality: 0.9,
     decoding: {{temperature: 0, max_tokens: 64}}, price: {{compute_per_hour_usd: 0.10}}}}
  - {{name: spare, kind: remote, engine: openai, source: "{spare}", quality: 0.3, ttft_s: 1.0, tpot_s: 0.1,
     price: {{prompt_per_mtok_usd: 1.0, completion_per_mtok_usd: 2.0}}}}
policy: {{epsilon: 0.0, priorities: {{balanced: {{accuracy: 1}}}}}}
build: {{background: false}}
cache: {{exact: false}}
server: {{drain_s: 2, idle_timeout_s: 3}}
calls: {{first_token_timeout_s: 4}}
"""


@pytest.fixture
def gateway(models_var: Path, tmp_path: Path) -> Iterator[Gateway]:
    """A real worker that is thought best, and a spare variant that always answers."""
    with background(Answer(body=completion_body("spare"))) as spare:
        config = CONFIG.format(spare=spare.base_url)
        with serving(models_var, tmp_path / "gateway", config=config) as running:
            running.wait_for("quantized", "warm", timeout_s=60)
            yield running


def while_asked(gateway: Gateway, count: int, harm: object) -> list[str | Exception]:
    """The answers to so many callers, half a second into whose requests something happens."""
    timer = threading.Timer(0.5, harm)  # type: ignore[arg-type]
    timer.start()
    try:
        return ask_together(gateway, count, max_tokens=64)
    finally:
        timer.join()


def answered(results: list[str | Exception]) -> bool:
    return all(isinstance(result, str) and result for result in results)


def test_a_worker_killed_at_work_costs_no_request(gateway: Gateway) -> None:
    results = while_asked(gateway, 8, worker_of(gateway, "quantized").kill)
    assert answered(results), results
    assert "spare" in results, "some were on their way when it died"
    gateway.wait_for("quantized", "warm", timeout_s=20)
    until_true(lambda: ask(gateway, "What is the capital of France?") != "spare", within_s=40)


@pytest.mark.chaos
def test_a_stalled_worker_is_left_for_another_variant(gateway: Gateway) -> None:
    worker = worker_of(gateway, "quantized")
    family = [worker, *worker.children(recursive=True)]
    try:
        results = while_asked(gateway, 4, lambda: [one.send_signal(signal.SIGSTOP) for one in family])
        assert answered(results), results
        began_s = time.monotonic()
        assert answered(ask_together(gateway, 4))
        assert time.monotonic() - began_s < 15
    finally:
        for one in family:
            if one.is_running():
                one.send_signal(signal.SIGCONT)
    until_true(lambda: ask(gateway, "What is the capital of France?") != "spare", within_s=60)


@pytest.mark.chaos
def test_a_worker_out_of_memory_takes_nobody_with_it(gateway: Gateway) -> None:
    worker = worker_of(gateway, "quantized")
    engine = next(iter(worker.children(recursive=True)), worker)
    used_bytes = engine.memory_info().vms
    engine.rlimit(psutil.RLIMIT_AS, (used_bytes + 2**20, used_bytes + 2**20))
    long = "tell me about the sea " * 600
    assert ask(gateway, long, max_tokens=64), "answered, by whom does not matter"
    assert answered(ask_together(gateway, 4))
    if engine.is_running():
        worker.kill()
    gateway.wait_for("quantized", "warm", timeout_s=60)
