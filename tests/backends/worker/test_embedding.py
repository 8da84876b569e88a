"""A real embedding worker, asked by the official client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import openai
import pytest
from numpy.typing import NDArray

from tests.workers import Served, working

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

SENTENCES = [
    "The cat sits outside.",
    "A man is playing the guitar.",
    "I love pasta, and so does everybody I know: it is quick, cheap and good, whatever the doctor says about it.",
    "ça va? 日本語 🙂 \u0000 end",
    "word " * 200,
    "x",
]


def vectors(served: Served, texts: str | list[str], **fields: Any) -> NDArray[np.float32]:
    reply = served.client.embeddings.create(model="any", input=texts, **fields)
    assert [entry.index for entry in reply.data] == list(range(len(reply.data)))
    return np.array([entry.embedding for entry in reply.data], dtype=np.float32)


def refused(served: Served, **body: Any) -> dict[str, Any]:
    response = served.http.post("/v1/embeddings", json=body)
    assert response.status_code == 400, response.text
    return response.json()["error"]  # type: ignore[no-any-return]


def reference(checkpoint: Path) -> NDArray[np.float32]:
    """The vectors as the model's card says to make them, one text at a time, by another library."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(checkpoint), AutoModel.from_pretrained(checkpoint)
    found = []
    for text in SENTENCES:
        with torch.no_grad():
            states = model(**tokenizer(text, return_tensors="pt", truncation=False)).last_hidden_state
        found.append(torch.nn.functional.normalize(states.mean(dim=1), dim=1)[0].numpy())
    return np.array(found)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_its_vectors_are_those_of_the_original_model(embedder: Served, models_dir: Callable[[str], Path]) -> None:
    from backends.models import bundled
    from backends.models.sources import fetch

    checkpoint = fetch(bundled.EMBEDDER_SOURCE, into=models_dir("minilm").parents[1] / ".downloads")
    similarity = (vectors(embedder, SENTENCES) * reference(checkpoint)).sum(axis=1)
    assert similarity.min() > 0.9999


def test_what_means_the_same_is_nearer_than_what_does_not(embedder: Served) -> None:
    asked, same, other = vectors(embedder, ["How do I reset my password?", "I forgot my password", "Rain in Peru"])
    assert asked @ same > asked @ other + 0.3


def test_a_vector_does_not_depend_on_its_company(embedder: Served) -> None:
    together = vectors(embedder, SENTENCES)
    alone = np.concatenate([vectors(embedder, text) for text in SENTENCES])
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(np.linalg.norm(together, axis=1) - 1).max() < 1e-5


def test_both_formats_hold_the_same_numbers_and_the_tokens_are_counted(embedder: Served) -> None:
    texts = SENTENCES[:2]
    floats = embedder.client.embeddings.create(model="any", input=texts, encoding_format="float")
    packed = embedder.client.embeddings.create(model="any", input=texts)  # base64 on the wire, by default
    assert [e.embedding for e in floats.data] == [pytest.approx(e.embedding, abs=1e-7) for e in packed.data]
    assert (floats.usage.prompt_tokens, floats.usage.total_tokens) == (16, 16)
    assert floats.model == "minilm"


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"input": ""}, "input", "input[0] is empty"),
        ({"input": ["a", ""]}, "input", "input[1] is empty"),
        ({"input": []}, "input", "length >= 1"),
        ({"input": ["a"] * 2049}, "input", "length <= 2048"),
        ({"input": [1, 2]}, "input[0]", "Expected `str`"),
        ({"input": ["a", "b " * 300]}, "input", "input[1] has 302 tokens, and minilm reads at most 256 tokens"),
        ({"input": "b" * 20_000}, "input", "input[0] has 20000 characters, and minilm reads at most 256 tokens"),
        ({"input": "a", "dimensions": 128}, "dimensions", "have 384"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format", "int8"),
        ({"input": "a", "mystery": 1}, "mystery", "mystery"),
    ],
)
def test_what_cannot_be_embedded_is_refused_by_name(
    embedder: Served, body: dict[str, Any], param: str, says: str
) -> None:
    error = refused(embedder, **body)
    assert error["param"] == param
    assert says in error["message"]


def test_a_text_that_fills_the_context_is_read_whole(embedder: Served) -> None:
    texts = ["the " * 254, "the " * 253 + "war"]
    assert embedder.client.embeddings.create(model="any", input=texts).usage.prompt_tokens == 512
    first, second = vectors(embedder, texts)
    assert first @ second < 0.9999


def test_control_tokens_in_a_text_are_text(embedder: Served) -> None:
    def tokens(text: str) -> int:
        return embedder.client.embeddings.create(model="any", input=text).usage.prompt_tokens

    assert tokens("a [SEP] b") == tokens("a ( sep ) b")
    written, apart, other = vectors(embedder, ["a [SEP] b", "a [ sep ] b", "a b"])
    assert written @ apart == pytest.approx(1.0, abs=1e-5)
    assert written @ other < 0.99


def test_an_embedder_says_what_it_can_do_and_generates_nothing(embedder: Served) -> None:
    assert embedder.get("/v1/models")["data"][0]["capabilities"] == ["embeddings"]
    with pytest.raises(openai.NotFoundError, match="generates nothing"):
        embedder.chat()
    with pytest.raises(openai.NotFoundError, match="generates nothing"):
        embedder.client.completions.create(model="any", prompt="Once")


def test_one_text_does_not_wait_for_a_request_of_thousands(embedder: Served) -> None:
    done: list[str] = []

    def ask(name: str, texts: list[str]) -> None:
        vectors(embedder, texts)
        done.append(name)

    large = threading.Thread(target=ask, args=("large", ["lorem ipsum dolor sit amet " * 20] * 200))
    large.start()
    embedder.wait_for_load(running=1)
    ask("small", ["hello"])
    large.join()
    assert done == ["small", "large"]


def test_requests_at_the_same_time_all_get_their_own_vectors(embedder: Served) -> None:
    texts = [[f"{word} number {i}" for word in ("tree", "house", "river")] for i in range(24)]
    expected = vectors(embedder, [text for group in texts for text in group]).reshape(24, 3, -1)
    with ThreadPoolExecutor(24) as pool:
        found = np.array(list(pool.map(lambda group: vectors(embedder, group), texts)))
    assert np.abs(found - expected).max() < 1e-5


def test_who_goes_away_is_not_computed_for_any_more(embedder: Served) -> None:
    body = {"input": ["lorem ipsum dolor sit amet " * 20] * 2000}
    with pytest.raises(httpx2.TimeoutException):
        embedder.http.post("/v1/embeddings", json=body, timeout=0.5)
    embedder.wait_for_load(running=0, queued=0, timeout_s=2.0)
    asked_s = time.monotonic()
    vectors(embedder, "hello")
    assert time.monotonic() - asked_s < 2.0  # all of it would have taken several times as long


def test_a_worker_that_is_told_to_stop_finishes_what_it_has(embedder_spec: dict[str, Any]) -> None:
    with working(embedder_spec) as served, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(vectors, served, ["lorem ipsum dolor sit amet " * 20] * 60)
        served.wait_for_load(running=1)
        served.process.terminate()
        assert answer.result().shape == (60, 384)
        assert served.process.wait(timeout=10) == 0


def test_a_context_that_the_model_does_not_have_is_an_error_at_the_start(embedder_spec: dict[str, Any]) -> None:
    with working(embedder_spec | {"context_tokens": 8192}, wait=False) as served:
        assert served.process.wait(timeout=20) == 1
        assert "its model reads at most 512: set context_tokens" in served.log.read_text()
