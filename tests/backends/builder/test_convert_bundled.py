"""The recipes on the real bundled model."""

import gc

import numpy as np
import pytest

from backends.builder.build import build
from backends.models import bundled
from backends.models.sources import fetch
from backends.models.store import Build, Store
from backends.types import Engine, Price, Variant, VariantKind

pytest.importorskip("gguf")
pytestmark = [pytest.mark.models, pytest.mark.timeout(240)]

PRICE = Price(compute_per_hour_usd=0.1)
QUANTIZED = Variant(
    name="quantized", kind=VariantKind.QUANTIZED, engine=Engine.OPENVINO, source="built:q8_0", price=PRICE
)
FULL = Variant(name="full", kind=VariantKind.FULL, engine=Engine.TRANSFORMERS, source="built:dequantize", price=PRICE)

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}
"""No rounding but the file's: what OpenVINO adds otherwise depends on the processor, and tips close calls over."""


@pytest.fixture(scope="module")
def quantized(model_store: Store) -> Build:
    build(QUANTIZED, variants=[QUANTIZED, FULL], store=model_store)
    return model_store.build("quantized")


@pytest.fixture(scope="module")
def full(model_store: Store) -> Build:
    build(FULL, variants=[QUANTIZED, FULL], store=model_store)
    return model_store.build("full")


def test_from_gguf_to_a_checkpoint_and_back_no_weight_changes(full: Build, model_store: Store) -> None:
    from safetensors.numpy import load_file

    from backends.builder.convert import hf_to_gguf_tensors, iter_gguf

    source = fetch(bundled.SOURCE, into=model_store.downloads, sha256=bundled.SHA256)
    weights = load_file(full.path / "model.safetensors")
    back = hf_to_gguf_tensors(weights, heads=9, kv_heads=3, block_count=30)
    names = set()
    for name, tensor in iter_gguf(source):
        names.add(name)
        np.testing.assert_array_equal(back[name], tensor, err_msg=name)
    assert names == back.keys()


def test_the_quantized_build_names_the_pinned_model_as_its_parent_and_its_licence(quantized: Build) -> None:
    assert quantized.manifest.lineage.parents == (bundled.SOURCE,)
    assert quantized.manifest.licence == "Apache-2.0"


def test_the_quantized_build_answers_in_openvino_as_the_full_model_does(quantized: Build) -> None:
    genai = pytest.importorskip("openvino_genai")
    pipeline = genai.LLMPipeline(str(quantized.gguf), "CPU", **EXACT)
    config = genai.GenerationConfig()
    config.max_new_tokens = 16
    history = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = pipeline.get_tokenizer().apply_chat_template(history, add_generation_prompt=True)
    config.apply_chat_template = False
    answer = pipeline.generate(prompt, config)
    del pipeline
    gc.collect()
    assert str(answer) == "The capital of France is Paris."


def test_the_full_build_answers_in_transformers(full: Build) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(full.path)
    model = transformers.AutoModelForCausalLM.from_pretrained(full.path)
    history = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(history, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=16, do_sample=False)
    answer = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer == "The capital of France is Paris."
