"""A real embedder beside a real model, through the gateway, by the official client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import pytest

from tests.serving import ROOT, Gateway, serving

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

CONFIG = """
variants:
  - {name: quantized, kind: quantized, engine: openvino, source: "built:q8_0",
     decoding: {temperature: 0, max_tokens: 64}, price: {compute_per_hour_usd: 0.10}}
  - {name: minilm, kind: full, engine: openvino, source: "built:minilm", capabilities: [embeddings],
     context_tokens: 256, warm: on_demand, price: {compute_per_hour_usd: 0.10}}
policy: {epsilon: 0.0}
build: {background: false}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    var = Path(os.environ.get("TRILEMMA_TEST_VAR", ROOT / "var" / "test-models"))
    config = tmp_path_factory.mktemp("build") / "trilemma.yaml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "gateway.cli", "--config", str(config), "--var", str(var)]
    # Measures no card: one is about answers, and the model's is not asked for here.
    subprocess.run([*command, "variants", "build", "minilm"], check=True, cwd=ROOT, timeout=300)
    subprocess.run([*command, "variants", "build", "--no-cards", "quantized"], check=True, cwd=ROOT, timeout=600)
    with serving(var, tmp_path_factory.mktemp("gateway"), config=CONFIG) as running:
        running.wait_for("quantized", "warm", timeout_s=60)
        yield running


def test_a_cold_embedder_is_started_and_its_vectors_mean_what_the_texts_mean(gateway: Gateway) -> None:
    assert gateway.state("minilm") == "cold"
    texts = ["How do I reset my password?", "I forgot my password", "Rain is falling in Peru"]
    answer = gateway.client().embeddings.create(model="auto", input=texts)
    assert (answer.model, answer.usage.prompt_tokens) == ("minilm", 22)
    asked, same, other = np.array([entry.embedding for entry in answer.data])
    assert asked @ same > asked @ other + 0.3
    gateway.wait_for("minilm", "warm", timeout_s=5)


def test_answers_come_from_what_generates(gateway: Gateway) -> None:
    raw = gateway.client().chat.completions.with_raw_response.create(
        model="auto",
        messages=[{"role": "user", "content": "What is the capital of Japan?"}],
        max_tokens=4,
        extra_headers={"X-Trilemma-Explain": "1"},
    )
    assert raw.headers["x-trilemma-variant"] == "quantized"
    assert "minilm" not in raw.text.partition('"candidates"')[2]
    with pytest.raises(openai.BadRequestError, match="/v1/embeddings"):
        gateway.client().chat.completions.create(model="minilm", messages=[{"role": "user", "content": "hi"}])


def test_a_text_that_is_too_long_is_refused_whole(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        gateway.client().embeddings.create(model="minilm", input=["short", "word " * 400])
    assert (refusal.value.code, refusal.value.param) == ("context_length_exceeded", "input")
    assert "input[1] has 402 tokens" in refusal.value.message
