from __future__ import annotations

from importlib import resources
from pathlib import Path

import msgspec
import pytest

from gateway.demo.recordings import (
    MODELS,
    RecordedTask,
    RecordingError,
    best_fixed,
    configuration,
    fixed_utilities,
    knee_prices,
    packaged_tasks,
    read_tasks,
    utility,
)
from gateway.demo.traffic import tenant_sections
from gateway.settings import Settings, load_settings
from policies.checks import Check, score

SMALL, MIDDLE, LARGE = MODELS


def test_the_packaged_answers_name_their_origin_and_licence() -> None:
    notice = resources.files("gateway.demo").joinpath("NOTICE").read_text()
    assert all(model in notice for model in MODELS)
    assert "Apache-2.0" in notice


def test_the_packaged_models_differ_in_quality_as_in_price() -> None:
    tasks = packaged_tasks()
    right = [sum(task.answers[model].score for task in tasks) for model in MODELS]
    assert right == sorted(right)
    assert len(set(right)) == len(MODELS)


def test_a_check_that_comes_with_a_task_finds_the_recorded_score() -> None:
    checked = [task for task in packaged_tasks() if task.checks]
    assert checked
    for task in checked:
        [check] = msgspec.convert(task.checks, tuple[Check, ...])
        assert {model: score(check, of.text) for model, of in task.answers.items()} == {
            model: of.score for model, of in task.answers.items()
        }


def test_at_the_knee_the_two_ends_are_worth_the_same_and_the_middle_more() -> None:
    tasks = packaged_tasks()
    prices = knee_prices(tasks)
    utilities = fixed_utilities(tasks, prices)
    assert utilities[SMALL] == pytest.approx(utilities[LARGE], abs=0.01)
    assert best_fixed(tasks, prices) == MIDDLE
    assert utilities[MIDDLE] > utilities[SMALL] + 0.05


def test_a_better_answer_is_worth_more_and_a_longer_one_less() -> None:
    task = packaged_tasks()[0]
    prices = knee_prices(packaged_tasks())

    def changed(**fields: float) -> RecordedTask:
        answer = msgspec.structs.replace(task.answers[SMALL], **fields)
        return msgspec.structs.replace(task, answers=task.answers | {SMALL: answer})

    right, wrong = changed(score=1.0), changed(score=0.0)
    assert utility(right, SMALL, prices) == pytest.approx(utility(wrong, SMALL, prices) + 1.0)
    assert utility(changed(completion_tokens=500), SMALL, prices) < utility(task, SMALL, prices)


@pytest.mark.parametrize("times_stated", [True, False])
def test_the_configuration_states_prices_and_the_same_quality(tmp_path: Path, *, times_stated: bool) -> None:
    file = tmp_path / "demo.yaml"
    text = configuration("http://127.0.0.1:9", times_stated=times_stated, tenants=tenant_sections(speed=1.0))
    file.write_bytes(text)
    settings = load_settings(file)
    assert {variant.quality for variant in settings.variants} == {0.5}
    assert all((variant.ttft_s is not None) == times_stated for variant in settings.variants)
    prices = [variant.price.completion_per_mtok_usd for variant in settings.variants]
    assert prices == pytest.approx([0.8, 2.8, 7.5])
    untouched = set(Settings.__struct_fields__) - {"variants", "tenants"}
    defaults = Settings(variants=settings.variants)
    assert all(getattr(settings, name) == getattr(defaults, name) for name in untouched)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"{", "line 1: Input data was truncated"),
        (b'{"id":"a","family":"f","prompt":"p","max_tokens":1,"answers":{}}', "line 1: no answer of qwen"),
        (b"", "no recorded answers"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_its_line(line: bytes, what: str) -> None:
    with pytest.raises(RecordingError, match=what):
        read_tasks(line)


def test_a_repeated_prompt_is_refused() -> None:
    line = msgspec.json.encode(packaged_tasks()[0])
    with pytest.raises(RecordingError, match=r"line 2: the prompt of .* occurs twice"):
        read_tasks(line + b"\n" + line)
