"""`built:q8_0`: the bundled model with eight bits a weight, for the engines that read GGUF."""

from __future__ import annotations

from backends.builder.convert import block_count, read_gguf, write_gguf
from backends.builder.recipe import RecipeContext
from backends.models import bundled
from backends.models.manifest import Lineage

__all__ = ("run",)


def run(context: RecipeContext) -> None:
    """Dequantise the bundled file and write it as Q8_0; the tokenizer and chat template stay as they are."""
    source = context.bundled_gguf()
    context.report("convert", message="reading weights")
    tensors = read_gguf(source)
    directory = context.staging()
    context.report("write", message="writing Q8_0")
    write_gguf(
        directory / f"{bundled.NAME}.Q8_0.gguf",
        tensors=tensors,
        metadata_from=source,
        block_count=block_count(source),
    )
    context.publish(directory, lineage=Lineage(recipe="q8_0", parents=(bundled.SOURCE,)))
