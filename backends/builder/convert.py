"""GGUF files and Hugging Face tensors, both ways. Imports numpy and gguf only: no torch.

The two formats name tensors differently, and GGUF keeps the rows of the query and key projections in another order:
the two halves that rotary embeddings pair up lie interleaved, row by row, instead of one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backends.errors import BuildError, MissingExtraError

try:
    import gguf
except ImportError as error:
    raise MissingExtraError(package="gguf", extra="local") from error

__all__ = ("Tensor", "block_count", "hf_to_gguf_tensors", "iter_gguf", "read_gguf", "write_gguf")

Tensor = NDArray[np.float32]

_WRITER_OWNED = ("GGUF.", "general.architecture", "general.alignment", "general.file_type")
"""Metadata that the writer sets itself."""


def iter_gguf(path: Path) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a GGUF file by their GGUF names, dequantised one at a time.

    Raises:
        BuildError: Not a readable GGUF file.
    """
    for tensor in _open(path).tensors:
        yield tensor.name, gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)


def read_gguf(path: Path) -> dict[str, Tensor]:
    """All tensors of `iter_gguf` at once: four bytes a weight in memory."""
    return dict(iter_gguf(path))


def block_count(path: Path) -> int:
    """Number of transformer layers of a GGUF model.

    Raises:
        BuildError: Not a readable GGUF file.
    """
    reader = _open(path)
    return int(reader.fields[f"{_architecture(reader)}.block_count"].contents())


def write_gguf(path: Path, *, tensors: Mapping[str, Tensor], metadata_from: Path, block_count: int) -> None:
    """Write weights as GGUF Q8_0: matrices in blocks of 32 signed bytes with one scale, vectors as float32.

    Args:
        path: File to write; replaced if it is there.
        tensors: By GGUF name, as `read_gguf` or `hf_to_gguf_tensors` gives them.
        metadata_from: GGUF file whose tokenizer, chat template and hyperparameters are taken over.
        block_count: Number of transformer layers that `tensors` has.

    Raises:
        BuildError: `metadata_from` cannot be read, or the tensors do not make up `block_count` layers.
    """
    found = {int(name.split(".")[1]) for name in tensors if name.startswith("blk.")}
    if found != set(range(block_count)):
        raise BuildError(f"expected layers 0 to {block_count - 1}, the tensors have {sorted(found)}")
    reader = _open(metadata_from)
    writer = gguf.GGUFWriter(path, _architecture(reader))
    try:
        _copy_metadata(reader, writer, block_count=block_count)
        for name, tensor in tensors.items():
            if tensor.ndim == 1:
                writer.add_tensor(name, np.ascontiguousarray(tensor, dtype=np.float32))
            else:
                packed = gguf.quants.quantize(tensor, gguf.GGMLQuantizationType.Q8_0)
                writer.add_tensor(name, packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def hf_to_gguf_tensors(
    state_dict: Mapping[str, Tensor], *, heads: int, kv_heads: int, block_count: int
) -> dict[str, Tensor]:
    """Llama weights under their GGUF names, query and key rows reordered.

    Args:
        state_dict: float32 arrays by Hugging Face name (`model.layers.0.self_attn.q_proj.weight`). An output
            projection equal to the embedding is tied, and left out.
        heads: Query heads.
        kv_heads: Key and value heads.
        block_count: Number of layers.

    Raises:
        BuildError: A weight that a Llama model does not have.
    """
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, block_count)
    tensors: dict[str, Tensor] = {}
    for hf_name, tensor in state_dict.items():
        if hf_name == "lm_head.weight" and np.array_equal(tensor, state_dict["model.embed_tokens.weight"]):
            continue
        name = names.get_name(hf_name, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise BuildError(f"{hf_name} is no weight of a Llama model of {block_count} layers")
        if hf_name.endswith("q_proj.weight"):
            tensors[name] = _interleave(tensor, heads=heads)
        elif hf_name.endswith("k_proj.weight"):
            tensors[name] = _interleave(tensor, heads=kv_heads)
        else:
            tensors[name] = tensor
    return tensors


def _interleave(weight: Tensor, *, heads: int) -> Tensor:
    """(heads * 2 * half, width) with the halves one after the other -> the same rows in pairs."""
    half = weight.shape[0] // heads // 2
    return weight.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(weight.shape)


def _open(path: Path) -> gguf.GGUFReader:
    try:
        return gguf.GGUFReader(path)
    except (ValueError, OSError) as error:
        raise BuildError(f"{path} cannot be read as GGUF: {error}") from error


def _architecture(reader: gguf.GGUFReader) -> str:
    return str(reader.fields["general.architecture"].contents())


def _copy_metadata(reader: gguf.GGUFReader, writer: gguf.GGUFWriter, *, block_count: int) -> None:
    array = gguf.GGUFValueType.ARRAY
    for key, field in reader.fields.items():
        if key.startswith(_WRITER_OWNED):
            continue
        kind = field.types[0]
        value = block_count if key == f"{writer.arch}.block_count" else field.contents()
        writer.add_key_value(key, value, kind, sub_type=field.types[-1] if kind == array else None)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
