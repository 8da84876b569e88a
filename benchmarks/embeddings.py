"""How fast the embedding worker is, beside the same model in torch: one text at a time, and many at once.

The worker is asked over its socket, HTTP and JSON included; torch is called in this process, which is the least that
any server around it would take. Writes `benchmarks/results/embeddings.json`.

    .venv/bin/python benchmarks/embeddings.py --rounds 100
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoTokenizer

from backends.builder.build import build
from backends.builder.machine import this_machine
from backends.models import bundled
from backends.models.sources import fetch
from backends.models.store import Store
from backends.supervisor.launch import LaunchPad
from backends.types import Capability, Engine, Price, Variant, VariantKind
from backends.worker.process import WorkerProcess

VARIANT = Variant(
    name="minilm",
    kind=VariantKind.FULL,
    engine=Engine.OPENVINO,
    source="built:minilm",
    capabilities=(Capability.EMBEDDINGS,),
    context_tokens=256,
    price=Price(compute_per_hour_usd=0.1),
)
SHORT = "How do I get the invoice of order number {}?"
LONG = "The invoice of order number {0} has not come, and nobody has told me when it will. " * 4
MANY = 256


async def main(rounds: int, var: Path) -> dict[str, Any]:
    """Both ways in turns, so that a machine whose speed drifts slows both."""
    store = Store(var / "models")
    manifest = build(VARIANT, store=store)
    in_torch = torch_embedder(fetch(bundled.EMBEDDER_SOURCE, into=store.downloads))
    with tempfile.TemporaryDirectory() as sockets:
        spec = LaunchPad(store, Path(sockets)).spec(VARIANT, revision=manifest.revision)
        async with await WorkerProcess.start(spec) as worker:
            await worker.wait_ready(timeout_s=60)
            one: dict[str, list[float]] = {"worker": [], "torch": []}
            for turn in range(-5, rounds):
                texts = [SHORT.format(turn)]
                timed = await asked(worker, texts), called(in_torch, texts)
                if turn >= 0:
                    for way, seconds in zip(one, timed, strict=True):
                        one[way].append(seconds)
            texts = [(LONG if number % 4 == 0 else SHORT).format(number) for number in range(MANY)]
            many = {"worker": await asked(worker, texts), "torch": called(in_torch, texts)}
            resident_bytes = (await worker.load()).resident_bytes
    return {
        "machine": {"cpu": this_machine().cpu, "cores": os.cpu_count()},
        "one_text_ms": {way: {"p50": ms(times, 50), "p99": ms(times, 99)} for way, times in one.items()},
        "one_text_speed_relative_to_torch": statistics.median(
            b / a for a, b in zip(one["worker"], one["torch"], strict=True)
        ),
        "texts_per_s": {way: MANY / seconds for way, seconds in many.items()},
        "many_speed_relative_to_torch": many["torch"] / many["worker"],
        "worker_resident_bytes": resident_bytes,
    }


async def asked(worker: WorkerProcess, texts: list[str]) -> float:
    """Seconds that the worker takes."""
    body = json.dumps({"input": texts, "encoding_format": "base64"}).encode()
    began_s = time.perf_counter()
    await worker.client.request("/v1/embeddings", body)
    return time.perf_counter() - began_s


def called(embed: Callable[[list[str]], object], texts: list[str]) -> float:
    """Seconds that a call takes."""
    began_s = time.perf_counter()
    embed(texts)
    return time.perf_counter() - began_s


def torch_embedder(checkpoint: Path) -> Callable[[list[str]], object]:
    """The model as its card says to use it, in batches of 32 sorted by length as its library makes them."""
    tokenizer, model = AutoTokenizer.from_pretrained(checkpoint), AutoModel.from_pretrained(checkpoint).eval()

    @torch.inference_mode()
    def embed(texts: list[str]) -> object:
        texts = sorted(texts, key=len)
        vectors = []
        for begin in range(0, len(texts), 32):
            batch = tokenizer(texts[begin : begin + 32], padding=True, truncation=True, return_tensors="pt")
            states, weights = model(**batch).last_hidden_state, batch["attention_mask"].unsqueeze(-1)
            means = (states * weights).sum(dim=1) / weights.sum(dim=1)
            vectors.append(torch.nn.functional.normalize(means, dim=1))
        return torch.cat(vectors).numpy()

    return embed


def ms(times_s: list[float], percent: int) -> float:
    """A percentile in milliseconds."""
    return round(statistics.quantiles(times_s, n=100)[percent - 1] * 1000, 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--var", type=Path, default=Path("var"))
    arguments = parser.parse_args()
    results = asyncio.run(main(arguments.rounds, arguments.var))
    text = json.dumps(results, indent=1)
    (Path(__file__).parent / "results" / "embeddings.json").write_text(text + "\n")
    print(text)
