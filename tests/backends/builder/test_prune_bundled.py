"""The pruned recipe on the real bundled model, and the card of what it made, through a real worker."""

import re
from pathlib import Path

import pytest

pytest.importorskip("openvino_genai")

from backends.builder import prune
from backends.builder.build import build
from backends.builder.card import measure_in_turns
from backends.builder.convert import block_count
from backends.builder.machine import this_machine
from backends.builder.plan import Plan
from backends.builder.tasks import TASK_SET, Family
from backends.models.manifest import Card
from backends.models.store import Build, Store
from backends.progress import Progress
from backends.types import Engine, Price, Variant, VariantKind
from backends.worker.spec import WorkerSpec

pytestmark = [pytest.mark.models, pytest.mark.timeout(400)]

PRICE = Price(compute_per_hour_usd=0.1)
VARIANTS = [
    Variant(name=name, kind=kind, engine=engine, source=source, price=PRICE)
    for name, kind, engine, source in (
        ("quantized", VariantKind.QUANTIZED, Engine.OPENVINO, "built:q8_0"),
        ("full", VariantKind.FULL, Engine.TRANSFORMERS, "built:dequantize"),
        ("pruned", VariantKind.PRUNED, Engine.OPENVINO, "built:pruned"),
    )
]
QUICK = Plan(calibration_prompts=32, deciding_prompts=8, held_out_prompts=8)


@pytest.fixture(scope="module")
def pruned(model_store: Store) -> Build:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prune, "run", lambda context: prune.prune(context, plan=QUICK))
        build(VARIANTS[-1], variants=VARIANTS, store=model_store)
    return model_store.build("pruned")


def test_the_pruned_build_lacks_one_block_of_layers_and_says_which(pruned: Build, model_store: Store) -> None:
    removed = pruned.manifest.lineage.parameters["layers_removed"]
    assert isinstance(removed, list)
    assert removed == list(range(removed[0], removed[0] + 5))
    assert block_count(pruned.gguf) == 25
    assert pruned.manifest.lineage.parents == (model_store.build("full").reference,)
    assert pruned.manifest.licence == "Apache-2.0"


async def test_its_card_tells_speed_memory_and_quality_as_measured(pruned: Build, tmp_path: Path) -> None:
    spec = WorkerSpec(
        name="pruned",
        engine=Engine.OPENVINO,
        model_path=str(pruned.path),
        socket_path=str(tmp_path / "worker.sock"),
        context_tokens=2048,
        max_running=8,
    )
    steps: list[Progress] = []
    card = (await measure_in_turns([spec], sink=steps.append))["pruned"]
    assert isinstance(card, Card)
    assert card.conditions is not None
    assert card.task_set == TASK_SET
    assert card.tasks.keys() == set(Family)
    assert all(score.total == 20 for score in card.tasks.values())
    # Five of thirty layers less cost a third of the answers; a broken file costs all of them.
    assert 0.35 < card.quality < 0.9
    assert card.tasks[Family.CAPITALS].correct >= 10
    assert 40 <= card.prompt_tokens <= 90
    assert card.tpot_s < card.ttft_s < card.cold_start_s
    assert card.batch_tokens_per_s > 1 / card.tpot_s
    assert card.prefill_tokens_per_s > 1 / card.tpot_s
    assert card.resident_bytes > pruned.gguf.stat().st_size
    assert card.machine == this_machine()
    assert {step.stage for step in steps} == {"measure"}
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert not re.search("nan|inf", repr(card))
    assert not (tmp_path / "worker.sock").exists()
