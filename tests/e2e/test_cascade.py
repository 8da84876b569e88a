"""A cascade over two real variants: what the engine tells of its confidence decides who answers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.serving import ROOT, Gateway, serving

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

CONFIG = """
variants:
  - {name: pruned, kind: pruned, engine: openvino, source: "built:pruned",
     decoding: {temperature: 0}, price: {compute_per_hour_usd: 0.10}}
  - {name: quantized, kind: quantized, engine: openvino, source: "built:q8_0",
     decoding: {temperature: 0}, price: {compute_per_hour_usd: 0.10}}
build: {background: false}
cache: {exact: false}
training: {shadow_share: 0.0}
"""
POLICY = """
schema_version: 1
name: cascade
rules:
  - name: careful
    then:
      cascade: true
      prefer: {pruned: 1.0}
      weights: {accuracy: 1}
cascade: {first: pruned, then: quantized, threshold: THRESHOLD}
exploration: {epsilon: 0.0}
fallback: [quantized, pruned]
"""


@pytest.fixture(scope="module")
def gateway(models_var: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(models_var, tmp_path_factory.mktemp("cascade"), config=CONFIG) as running:
        for variant in ("pruned", "quantized"):
            running.wait_for(variant, "warm", timeout_s=60)
        yield running


def put_in_force(gateway: Gateway, *, threshold: float) -> None:
    """Publish the policy, and wait until the gateway decides by it."""
    file = gateway.var / "policy.yaml"
    file.write_text(POLICY.replace("THRESHOLD", str(threshold)))
    command = [sys.executable, "-m", "gateway.cli", "--config", str(gateway.config), "--var", str(gateway.var)]
    publish = [*command, "policy", "publish", str(file), "--reason", "test"]
    subprocess.run(publish, check=True, cwd=ROOT, timeout=60, capture_output=True)
    deadline_s = time.monotonic() + 10
    while (asked(gateway, max_tokens=1)[1]["cascade"] or {}).get("threshold") != threshold:
        assert time.monotonic() < deadline_s
        time.sleep(0.2)


def asked(gateway: Gateway, *, max_tokens: int = 24) -> tuple[list[Any], dict[str, Any]]:
    """The chunks of a streamed answer, and the explanation that ends it."""
    with gateway.client(default_headers={"X-Trilemma-Explain": "1"}) as client:
        stream = client.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": "What is the capital of France?"}],
            max_tokens=max_tokens,
            stream=True,
        )
        chunks = list(stream)
    told: dict[str, Any] = chunks[-1].model_extra["trilemma"]
    return [choice for chunk in chunks for choice in chunk.choices], told


@pytest.mark.parametrize(
    ("threshold", "judged", "answers"),
    [(0.9999, ["low_confidence", None], "quantized"), (0.0, ["good_enough"], "pruned")],
    ids=["escalated", "passed on"],
)
def test_the_confidence_of_the_first_answer_decides(
    gateway: Gateway, threshold: float, judged: list[str | None], answers: str
) -> None:
    put_in_force(gateway, threshold=threshold)
    choices, told = asked(gateway)
    assert [attempt["held"] for attempt in told["attempts"]] == judged
    assert 0.0 < told["attempts"][0]["confidence"] < 0.9999
    assert told["variant"] == answers
    assert told["cost_usd"] == pytest.approx(sum(attempt["cost_usd"] for attempt in told["attempts"]))
    assert told["ttft_s"] > told["attempts"][0]["latency_s"]
    assert len(choices) > 2, "a stream as any other"
    assert all(choice.logprobs is None for choice in choices)
