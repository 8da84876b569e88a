"""A real embedder lets a tenant's question, put differently, be answered without a model; another tenant's is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.serving import ROOT, Gateway, serving

pytestmark = [pytest.mark.models, pytest.mark.timeout(180)]

CONFIG = """
variants:
  - {name: quantized, kind: quantized, engine: openvino, source: "built:q8_0",
     decoding: {temperature: 0}, price: {compute_per_hour_usd: 0.10}}
  - {name: minilm, kind: full, engine: openvino, source: "built:minilm", capabilities: [embeddings],
     context_tokens: 256, price: {compute_per_hour_usd: 0.10}}
policy: {epsilon: 0.0}
build: {background: false}
cache: {embedder: minilm, embed_s: 2.0}
tenants:
  - {id: support, semantic_cache: {threshold: 0.8}}
  - {id: legal}
"""
QUESTION = "How do I reset my password?"
SAME = "How can I reset my password?"
OTHER = "What is the capital of Japan?"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    var = Path(os.environ.get("TRILEMMA_TEST_VAR", ROOT / "var" / "test-models"))
    config = tmp_path_factory.mktemp("build") / "trilemma.yaml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "gateway.cli", "--config", str(config), "--var", str(var)]
    for built in (["minilm"], ["--no-cards", "quantized"]):
        subprocess.run([*command, "variants", "build", *built], check=True, cwd=ROOT, timeout=600)
    with serving(var, tmp_path_factory.mktemp("gateway"), config=CONFIG) as running:
        for variant in ("quantized", "minilm"):
            running.wait_for(variant, "warm", timeout_s=60)
        yield running


def client(gateway: Gateway, tenant: str) -> openai.OpenAI:
    """With a new key, once the gateway has taken notice of it."""
    command = [sys.executable, "-m", "gateway.cli", "--config", str(gateway.config), "--var", str(gateway.var)]
    add = [*command, "tenants", "keys", "add", tenant, "--json"]
    made = json.loads(subprocess.run(add, check=True, cwd=ROOT, capture_output=True).stdout)
    found = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=made["text"], max_retries=0)
    deadline_s = time.monotonic() + 5.0
    while True:
        try:
            found.models.list()
        except openai.AuthenticationError:
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        else:
            return found


def asked(who: openai.OpenAI, question: str) -> tuple[str, str | None]:
    """What the cache did, and the answer."""
    raw = who.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": question}], max_tokens=16
    )
    return raw.headers["x-trilemma-cache"], raw.parse().choices[0].message.content


def test_the_same_question_in_other_words_is_answered_from_the_cache(gateway: Gateway) -> None:
    support, legal = client(gateway, "support"), client(gateway, "legal")
    outcome, answer = asked(support, QUESTION)
    assert outcome == "miss"
    assert answer
    assert asked(support, SAME) == ("semantic", answer)
    assert asked(support, QUESTION) == ("exact", answer)
    assert asked(support, OTHER)[0] == "miss"
    assert [asked(legal, question)[0] for question in (QUESTION, SAME)] == ["miss", "miss"]
