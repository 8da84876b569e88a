"""The distilled recipe on the real bundled model: killed in the middle, started again, given more time."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("openvino_genai")

from backends.builder.build import build
from backends.builder.convert import block_count
from backends.models.files import link_or_copy
from backends.models.manifest import Manifest
from backends.models.store import Store
from backends.progress import Progress, decode_progress
from backends.types import Engine, Price, Variant, VariantKind

pytestmark = [pytest.mark.models, pytest.mark.timeout(600)]

PRICE = Price(compute_per_hour_usd=0.1)
FULL = Variant(name="full", kind=VariantKind.FULL, engine=Engine.TRANSFORMERS, source="built:dequantize", price=PRICE)
QUANTIZED = Variant(
    name="quantized", kind=VariantKind.QUANTIZED, engine=Engine.OPENVINO, source="built:q8_0", price=PRICE
)

CHILD = """
import sys
from pathlib import Path
from backends.builder import distill
from backends.builder.build import build
from backends.builder.plan import Plan
from backends.models.store import Store
from backends.progress import json_lines
from backends.types import Engine, Price, Variant, VariantKind

plan = Plan(calibration_prompts=16, deciding_prompts=4, held_out_prompts=8, training_prompts=32, chunk_prompts=16,
            save_every_s=0.5, checkpoints=1)
distill.run = lambda context: distill.distill(context, plan=plan)
variant = Variant(name="student", kind=VariantKind.DISTILLED, engine=Engine.OPENVINO, source="built:distilled",
                  price=Price(compute_per_hour_usd=0.1))
build(variant, store=Store(Path(sys.argv[1])), minutes=float(sys.argv[2]), sink=json_lines(sys.stdout.buffer))
"""


@pytest.fixture
def store(model_store: Store, tmp_path: Path) -> Store:
    """A store of its own that has what the recipe starts from."""
    for variant, name in ((FULL, "base-dequantize"), (QUANTIZED, "base-q8_0")):
        build(variant, variants=[FULL, QUANTIZED], store=model_store)
        source = model_store.root / variant.name
        for file in source.rglob("*"):
            if file.is_file():
                link_or_copy(file, to=tmp_path / "store" / name / file.relative_to(source))
    return Store(tmp_path / "store")


def _distil(store: Store, *, minutes: float, stop_at: Callable[[Progress], bool] = lambda _: False) -> list[Progress]:
    """Run the recipe in a process of its own, which is killed at a step of the progress."""
    steps = []
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(store.root), str(minutes)], stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            step = decode_progress(line)
            if step is not None and step.variant == "student":
                steps.append(step)
                if stop_at(step):
                    child.kill()
    assert child.returncode == (-signal.SIGKILL if any(map(stop_at, steps)) else 0)
    return steps


def _current(store: Store) -> Manifest:
    manifest = store.current("student")
    assert manifest is not None
    return manifest


def _number(manifest: Manifest, name: str) -> float:
    value = manifest.lineage.parameters[name]
    assert isinstance(value, int | float)
    return value


def test_a_killed_distillation_goes_on_where_it_was_and_more_time_goes_on_from_its_end(store: Store) -> None:
    _distil(store, minutes=3.0, stop_at=lambda step: step.stage == "distill")
    checkpoint = _current(store)
    assert checkpoint.stage == "checkpoint"
    (work,) = store.work("student").iterdir()
    kept = {name: (work / name).read_bytes() for name in ("text.jsonl", "held-out.jsonl")}
    seconds = float((work / "seconds").read_text())
    assert seconds > 0

    steps = _distil(store, minutes=0.5)
    assert not any("missed least" in step.message for step in steps), "the cut was made twice"
    final = _current(store)
    assert final.stage == "final"
    assert {name: (work / name).read_bytes() for name in kept} == kept, "text was written twice"
    assert float((work / "seconds").read_text()) > seconds
    assert _number(final, "held_out_kl") <= _number(checkpoint, "held_out_kl")
    assert block_count(store.build("student").gguf) == 25
    assert not (work / "lessons").exists()

    minutes = float((work / "seconds").read_text()) / 60 + 0.3
    _distil(store, minutes=minutes)
    longer = _current(store)
    assert longer.stage == "final"
    assert _number(longer, "minutes") == pytest.approx(minutes, abs=0.01)
    assert _number(longer, "tokens") > _number(final, "tokens")
    assert _number(longer, "held_out_kl") <= _number(final, "held_out_kl")
