"""Real builds and real workers, each made once.

Builds are kept under `var/test-models` (or `TRILEMMA_TEST_VAR`), shared with the end-to-end tests.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backends.builder.build import build
from backends.models.store import Store
from backends.types import Capability, Engine, Price, Variant, VariantKind
from tests.workers import ROOT, Served, forwarded, working

_PRICE = Price(compute_per_hour_usd=0.1)
_VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(
            name="full",
            kind=VariantKind.FULL,
            engine=Engine.TRANSFORMERS,
            source="built:dequantize",
            price=_PRICE,
        ),
        Variant(
            name="quantized", kind=VariantKind.QUANTIZED, engine=Engine.OPENVINO, source="built:q8_0", price=_PRICE
        ),
        Variant(
            name="minilm",
            kind=VariantKind.FULL,
            engine=Engine.OPENVINO,
            source="built:minilm",
            capabilities=(Capability.EMBEDDINGS,),
            context_tokens=256,
            price=_PRICE,
        ),
    )
}


@pytest.fixture(scope="session")
def models_dir() -> Callable[[str], Path]:
    """Directory of the build of `full`, `quantized` or `minilm`, made on first use."""
    store = Store(Path(os.environ.get("TRILEMMA_TEST_VAR", ROOT / "var" / "test-models")) / "models")

    def directory(name: str) -> Path:
        build(_VARIANTS[name], variants=list(_VARIANTS.values()), store=store)
        return store.path(name)

    return directory


@pytest.fixture(scope="session")
def openvino_spec(models_dir: Callable[[str], Path]) -> dict[str, Any]:
    """Fields of a spec but for the socket; four requests at a time, so that queues show."""
    return {
        "name": "quantized",
        "engine": Engine.OPENVINO,
        "model_path": str(models_dir("quantized")),
        "context_tokens": 2048,
        "max_running": 4,
    }


@pytest.fixture(scope="session")
def embedder_spec(models_dir: Callable[[str], Path]) -> dict[str, Any]:
    """Fields of an embedder's spec but for the socket."""
    return {
        "name": "minilm",
        "engine": Engine.OPENVINO,
        "model_path": str(models_dir("minilm")),
        "context_tokens": 256,
        "max_running": 16,
        "capabilities": (Capability.EMBEDDINGS,),
    }


@pytest.fixture(scope="session")
def embedder(embedder_spec: dict[str, Any]) -> Iterator[Served]:
    with working(embedder_spec) as served:
        yield served


@pytest.fixture(scope="session")
def openvino_worker(openvino_spec: dict[str, Any]) -> Iterator[Served]:
    with working(openvino_spec) as served:
        yield served


@pytest.fixture(scope="session")
def transformers_worker(models_dir: Callable[[str], Path], openvino_spec: dict[str, Any]) -> Iterator[Served]:
    path = str(models_dir("full"))
    with working({**openvino_spec, "name": "full", "engine": Engine.TRANSFORMERS, "model_path": path}) as served:
        yield served


@pytest.fixture(scope="session")
def llamacpp_worker(openvino_spec: dict[str, Any]) -> Iterator[Served]:
    pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed: pip install 'trilemma[llamacpp]'")
    with working({**openvino_spec, "engine": Engine.LLAMACPP}) as served:
        yield served


@pytest.fixture(scope="session")
def remote_worker(openvino_worker: Served) -> Iterator[Served]:
    with forwarded(openvino_worker) as served:
        yield served


@pytest.fixture(params=["openvino", "transformers", "llamacpp", "remote"])
def worker(request: pytest.FixtureRequest) -> Served:
    """A worker of each engine, and one that is reached as a remote OpenAI-compatible server."""
    served: Served = request.getfixturevalue(f"{request.param}_worker")
    return served
