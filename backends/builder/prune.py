"""`built:pruned`: a block of layers taken out and the gap closed by least squares, without any training."""

from __future__ import annotations

from backends.builder.cut import cut_layers
from backends.builder.recipe import RecipeContext
from backends.builder.teacher import Teacher
from backends.builder.writer import Writer
from backends.models import bundled
from backends.models.manifest import Lineage

__all__ = ("CALIBRATION", "HELD_OUT", "LAYERS_OUT", "SEED", "run")

LAYERS_OUT = 5
"""The fewest layers out of thirty that make decoding a tenth faster."""
SEED = 0
CALIBRATION = range(128)
"""Prompts to choose the block and to fit the maps on."""
HELD_OUT = range(1_000_000, 1_000_024)
"""Prompts that nothing is fitted to."""


def run(context: RecipeContext) -> None:
    """Make the pruned variant: some seconds of writing text, some of measuring."""
    base, quantized = context.require("dequantize"), context.require("q8_0")
    teacher = Teacher(base.path)
    context.report("select", message="writing text to measure on")
    writer = Writer(quantized.gguf, seed=SEED)
    calibration, held_out = writer.write(CALIBRATION), writer.write(HELD_OUT)
    context.report("heal", done=0.3, message=f"looking for the {LAYERS_OUT} layers that are missed least")
    cut = cut_layers(teacher, count=LAYERS_OUT, calibration=calibration, held_out=held_out)
    context.report("write", message=f"without layers {cut.removed[0]} to {cut.removed[-1]}")
    directory = context.staging()
    teacher.write(
        directory / f"{bundled.NAME}.pruned.Q8_0.gguf",
        layers=cut.layers(teacher),
        norm=teacher.norm,
        metadata_from=quantized.gguf,
    )
    context.publish(
        directory,
        lineage=Lineage(
            recipe="prune",
            parents=(base.reference,),
            parameters={"seed": SEED, "layers_removed": cut.removed, "angle": round(cut.angle, 4)},
        ),
    )
