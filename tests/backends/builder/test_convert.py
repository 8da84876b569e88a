"""GGUF tensors: written as read within Q8_0's rounding, query and key rows in the order that the readers expect."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.errors import BuildError

gguf = pytest.importorskip("gguf")

from backends.builder.convert import block_count, hf_to_gguf_tensors, read_gguf, write_gguf  # noqa: E402

WIDTH, HEADS, KV_HEADS, WORDS = 64, 4, 2, 32


def hf_weights(rng: np.random.Generator, *, layers: int) -> dict[str, np.ndarray]:
    """A Llama of toy size, under Hugging Face names."""
    kv = WIDTH * KV_HEADS // HEADS
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (WORDS, WIDTH), "model.norm.weight": (WIDTH,)}
    for i in range(layers):
        shapes |= {
            f"model.layers.{i}.input_layernorm.weight": (WIDTH,),
            f"model.layers.{i}.post_attention_layernorm.weight": (WIDTH,),
            f"model.layers.{i}.self_attn.q_proj.weight": (WIDTH, WIDTH),
            f"model.layers.{i}.self_attn.k_proj.weight": (kv, WIDTH),
            f"model.layers.{i}.self_attn.v_proj.weight": (kv, WIDTH),
            f"model.layers.{i}.self_attn.o_proj.weight": (WIDTH, WIDTH),
            f"model.layers.{i}.mlp.gate_proj.weight": (WIDTH * 2, WIDTH),
            f"model.layers.{i}.mlp.up_proj.weight": (WIDTH * 2, WIDTH),
            f"model.layers.{i}.mlp.down_proj.weight": (WIDTH, WIDTH * 2),
        }
    return {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    """A GGUF file with a tokenizer, a template and 30 layers in its metadata."""
    path = tmp_path / "metadata.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(30)
    writer.add_embedding_length(WIDTH)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"word{i}" for i in range(WORDS)])
    writer.add_chat_template("{{ messages }}")
    writer.add_rope_freq_base(100000.0)
    writer.add_add_bos_token(False)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_1)
    writer.add_tensor("token_embd.weight", np.zeros((WORDS, WIDTH), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def converted(weights: dict[str, np.ndarray], *, layers: int) -> dict[str, np.ndarray]:
    return hf_to_gguf_tensors(weights, heads=HEADS, kv_heads=KV_HEADS, block_count=layers)


def test_what_is_written_is_read_back_within_half_a_quantisation_step(tmp_path: Path, metadata: Path) -> None:
    tensors = converted(hf_weights(np.random.default_rng(1), layers=2), layers=2)
    path = tmp_path / "q8.gguf"
    write_gguf(path, tensors=tensors, metadata_from=metadata, block_count=2)
    found = read_gguf(path)
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        blocks = tensor.reshape(-1, 32)
        # Half a step of 1/127 of the block's largest weight, and the scale itself is rounded to half precision.
        tolerance = np.abs(blocks).max(axis=1, keepdims=True) * (0.5 / 127 + 1e-3) if tensor.ndim == 2 else 0.0
        assert np.all(np.abs(found[name].reshape(-1, 32) - blocks) <= tolerance), name


def test_metadata_is_taken_over_but_for_layers_and_file_type(tmp_path: Path, metadata: Path) -> None:
    path = tmp_path / "q8.gguf"
    tensors = converted(hf_weights(np.random.default_rng(1), layers=3), layers=3)
    write_gguf(path, tensors=tensors, metadata_from=metadata, block_count=3)
    old, new = gguf.GGUFReader(metadata), gguf.GGUFReader(path)
    changed = {
        key: new.fields[key].contents()
        for key, field in old.fields.items()
        if not key.startswith("GGUF.") and new.fields[key].contents() != field.contents()
    }
    assert changed == {"llama.block_count": 3, "general.file_type": gguf.LlamaFileType.MOSTLY_Q8_0}
    assert block_count(path) == 3


def test_missing_layers_are_refused(tmp_path: Path, metadata: Path) -> None:
    tensors = converted(hf_weights(np.random.default_rng(1), layers=3), layers=3)
    for wrong in (2, 4):
        with pytest.raises(BuildError, match="expected layers"):
            write_gguf(tmp_path / "q8.gguf", tensors=tensors, metadata_from=metadata, block_count=wrong)


def test_a_tied_output_projection_is_left_out_and_another_is_kept() -> None:
    weights = hf_weights(np.random.default_rng(1), layers=1)
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].copy()
    assert "output.weight" not in converted(weights, layers=1)
    weights["lm_head.weight"] += 1
    assert "output.weight" in converted(weights, layers=1)


def test_a_weight_that_a_llama_does_not_have_is_refused_by_name() -> None:
    weights = hf_weights(np.random.default_rng(1), layers=1) | {"model.layers.0.router.weight": np.zeros((2, 2))}
    with pytest.raises(BuildError, match="router"):
        converted(weights, layers=1)


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_reordered_rows_rotate_in_pairs_as_the_originals_rotate_in_halves(
    heads: int, half: int, width: int, seed: int
) -> None:
    """Attention scores are the same: GGUF engines rotate rows (2i, 2i+1), Hugging Face rows (i, i + half)."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((heads * 2 * half, width), dtype=np.float32)
    name = "model.layers.0.self_attn.q_proj.weight"
    reordered = hf_to_gguf_tensors({name: weight}, heads=heads, kv_heads=1, block_count=1)["blk.0.attn_q.weight"]
    by_halves = weight.reshape(heads, 2, half, width)
    by_pairs = reordered.reshape(heads, half, 2, width)
    np.testing.assert_array_equal(by_halves[:, 0], by_pairs[:, :, 0])
    np.testing.assert_array_equal(by_halves[:, 1], by_pairs[:, :, 1])


def test_a_file_that_is_no_gguf_is_a_build_error(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(BuildError, match="cannot be read as GGUF"):
        read_gguf(path)
