"""`built:pruned`: a block of layers taken out and the gap closed by least squares, without any training."""

from __future__ import annotations

from backends.builder.cut import cut_layers
from backends.builder.plan import Plan
from backends.builder.recipe import RecipeContext
from backends.builder.teacher import Teacher
from backends.builder.writer import Writer
from backends.models import bundled
from backends.models.manifest import Lineage

__all__ = ("prune", "run")


def run(context: RecipeContext) -> None:
    """Make the pruned variant: some seconds of writing text, some of measuring."""
    prune(context, plan=Plan())


def prune(context: RecipeContext, *, plan: Plan) -> None:
    """Make it as planned."""
    base, quantized = context.require("dequantize"), context.require("q8_0")
    teacher = Teacher(base.path)
    context.report("select", message="writing text to measure on")
    writer = Writer(quantized.gguf, seed=plan.seed)
    calibration, held_out = writer.write(plan.calibration), writer.write(plan.deciding)
    context.report("heal", done=0.3, message=f"looking for the {plan.layers_out} layers that are missed least")
    cut = cut_layers(teacher, count=plan.layers_out, calibration=calibration, held_out=held_out)
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
            parameters={"seed": plan.seed, "layers_removed": cut.removed, "angle": round(cut.angle, 4)},
        ),
    )
