"""A duplicate between two real workers: the one that hangs is overtaken, and generates nothing when it wakes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.chaos_tools import worker_of
from tests.serving import ROOT, Gateway, serving

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

CONFIG = """
variants:
  - {name: quantized, kind: quantized, engine: openvino, source: "built:q8_0",
     decoding: {temperature: 0}, price: {compute_per_hour_usd: 0.10}}
  - {name: pruned, kind: pruned, engine: openvino, source: "built:pruned",
     decoding: {temperature: 0}, price: {compute_per_hour_usd: 0.10}}
policy: {epsilon: 0.0}
cache: {exact: false}
build: {background: false}
training: {enabled: false, shadow_share: 0.0}
"""
POLICY = """
schema_version: 1
name: hedge
rules:
  - name: quick
    then: {hedge: true, prefer: {quantized: 1.0}}
hedge: {after_quantile: 0.95, max_share: 1.0}
exploration: {epsilon: 0.0}
fallback: [quantized, pruned]
"""
ASKED = {
    "model": "auto",
    "messages": [{"role": "user", "content": "Write a very long story about the sea, with many chapters."}],
    "max_tokens": 1000,
    "stream": True,
    "temperature": 1.2,
    "seed": 3,
}


@pytest.fixture
def gateway(models_var: Path, tmp_path: Path) -> Iterator[Gateway]:
    with serving(models_var, tmp_path, config=CONFIG) as running:
        for variant in ("pruned", "quantized"):
            running.wait_for(variant, "warm", timeout_s=60)
        put_in_force(running)
        yield running


def put_in_force(gateway: Gateway) -> None:
    """Publish the policy, and wait until the gateway decides by it."""
    file = gateway.var / "policy.yaml"
    file.write_text(POLICY)
    command = [sys.executable, "-m", "gateway.cli", "--config", str(gateway.config), "--var", str(gateway.var)]
    publish = [*command, "policy", "publish", str(file), "--reason", "test"]
    subprocess.run(publish, check=True, cwd=ROOT, timeout=60, capture_output=True)
    ask = gateway.client().chat.completions.create
    asked: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}
    explained = {"X-Trilemma-Explain": "1"}
    deadline_s = time.monotonic() + 10
    while ask(**asked, extra_headers=explained).model_extra["trilemma"]["rule"] != "quick":
        assert time.monotonic() < deadline_s
        time.sleep(0.2)


@contextmanager
def asleep(process: psutil.Process) -> Iterator[None]:
    """Stop a process for as long as the block takes."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def test_a_worker_that_hangs_is_overtaken_and_does_no_work_for_the_lost_request(gateway: Gateway) -> None:
    worker = worker_of(gateway, "quantized")
    with (
        asleep(worker),
        gateway.client().chat.completions.with_streaming_response.create(**ASKED) as reply,
    ):
        lines = reply.iter_lines()
        first = next(line for line in lines if line)
        assert '"model":"pruned"' in first
    tree = [worker, *worker.children(recursive=True)]
    time.sleep(0.5)  # It reads what came while it slept, and sees that nobody waits for it.
    for process in tree:
        process.cpu_percent()
    time.sleep(1.0)
    assert sum(process.cpu_percent() for process in tree) < 50, "it generates for a request that was overtaken"
    decision = gateway.get(f"/v1/decisions/{reply.headers['x-trilemma-decision']}")
    outcome: Any = decision["outcome"]
    tried = [(attempt["variant"], attempt["role"], attempt["error_type"]) for attempt in outcome["attempts"]]
    assert tried == [("quantized", "first", "overtaken"), ("pruned", "hedge", "interrupted")]
    assert outcome["ending"] == "cancelled"
    assert all(attempt["cost_usd"] > 0 for attempt in outcome["attempts"])
