"""`built:dequantize`: the bundled model as a float32 Hugging Face checkpoint, for torch, and as a teacher."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from backends.builder.recipe import RecipeContext
from backends.errors import MissingExtraError
from backends.models import bundled
from backends.models.manifest import Lineage

try:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError as error:
    raise MissingExtraError(package=error.name or "transformers", extra="local") from error

__all__ = ("run",)


def run(context: RecipeContext) -> None:
    """Convert once and keep the result: reading GGUF takes transformers far longer than reading a checkpoint.

    The precision is what the bundled file kept, in the format of full precision.
    """
    source = context.bundled_gguf()
    directory = context.staging()
    context.report("convert", message="reading weights")
    with contextlib.redirect_stderr(io.StringIO()):  # transformers draws bars there and takes no other sink
        _save_model(source, directory)
        context.report("convert", done=0.5, message="rebuilding the tokenizer")
        AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name).save_pretrained(directory)
    context.publish(directory, lineage=Lineage(recipe="dequantize", parents=(bundled.SOURCE,)))


def _save_model(source: Path, directory: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
    # A model read from GGUF refuses to be saved as long as it is marked as quantised; its weights are not any more.
    model.hf_quantizer = None
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(directory)
