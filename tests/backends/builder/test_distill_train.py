"""Lessons and training steps, on a model small enough to train here."""

from pathlib import Path

import pytest

pytest.importorskip("transformers")

from backends.builder.cut import cut_layers
from backends.builder.lessons import Lessons
from backends.builder.student import Student
from backends.builder.teacher import Conversation, Teacher, torch
from backends.builder.train import Phase, State, Trainer
from tests.tiny_llama import save_tiny_llama, tiny_text


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Teacher:
    return Teacher(save_tiny_llama(tmp_path_factory.mktemp("tiny"), idle_layers=(4, 5)))


@pytest.fixture(scope="module")
def text() -> list[Conversation]:
    return [Conversation(*pair) for pair in tiny_text(400, seed=2)]


def _trainer(teacher: Teacher, text: list[Conversation]) -> Trainer:
    cut = cut_layers(teacher, count=2, calibration=text[:64], held_out=text[64:96])
    student = Student.from_cut(cut, teacher, dtype=torch.float32)
    return Trainer(student, state=State(first=cut.first, count=cut.count), teacher=teacher, seed=0)


def _lessons(path: Path, teacher: Teacher, student: Student, text: list[Conversation]) -> Lessons:
    lessons = Lessons(path, teacher=teacher, student=student, text=text, seed=0)
    lessons.prepare(until=lambda _: False, dtype=torch.float32)
    return lessons


def test_lessons_start_where_the_student_shares_the_teachers_layers(
    tmp_path: Path, teacher: Teacher, text: list[Conversation]
) -> None:
    student = Student.blank(teacher, first=4, count=2, dtype=torch.float32)
    lesson = _lessons(tmp_path / "lessons", teacher, student, text[:20])[0]
    whole = Student(first=4, count=0, layers=teacher.layers[2:], norm=teacher.norm, dtype=torch.float32)
    found = whole.finish(lesson.entering, lesson.rotary)[lesson.answers]
    torch.testing.assert_close(found, lesson.last, rtol=0.05, atol=0.05)


def test_making_lessons_stops_when_told_and_goes_on_in_the_next_run(
    tmp_path: Path, teacher: Teacher, text: list[Conversation]
) -> None:
    student = Student.blank(teacher, first=4, count=2, dtype=torch.float32)
    lessons = Lessons(tmp_path / "lessons", teacher=teacher, student=student, text=text, seed=0)
    lessons.prepare(until=lambda done: done > 0.4, dtype=torch.float32)
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "lessons").iterdir()}
    assert 0 < len(lessons) < len(_lessons(tmp_path / "all", teacher, student, text))
    again = _lessons(tmp_path / "lessons", teacher, student, text)
    assert len(again) > len(made)
    assert {path: path.stat().st_mtime_ns for path in made} == made


@pytest.mark.parametrize("phase", [Phase.NEAR, Phase.ALL])
def test_training_brings_the_student_nearer_to_its_teacher(
    tmp_path: Path, teacher: Teacher, text: list[Conversation], phase: Phase
) -> None:
    trainer = _trainer(teacher, text)
    trainer.lessons = _lessons(tmp_path / "lessons", teacher, trainer.student, text[:300])
    held_out = _lessons(tmp_path / "held-out", teacher, trainer.student, text[300:])
    before = trainer.distance(held_out)
    trainer.begin(phase, at_s=0.0)
    for step in range(60):
        trainer.step(progress=step / 60)
    assert trainer.distance(held_out) < 0.9 * before


def test_only_the_layers_around_the_cut_change_in_the_first_phase(
    tmp_path: Path, teacher: Teacher, text: list[Conversation]
) -> None:
    trainer = _trainer(teacher, text)
    trainer.lessons = _lessons(tmp_path / "lessons", teacher, trainer.student, text[:100])
    trainer.begin(Phase.NEAR, at_s=0.0)
    trainer.step(progress=0.0)
    student, first = trainer.student, trainer.state.first
    whole = student.whole(teacher)
    changed = [
        index
        for index, (ours, theirs) in enumerate(
            zip(whole, teacher.layers[:first] + teacher.layers[first + 2 :], strict=True)
        )
        if any(not torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    ]
    assert changed == [first - 2, first - 1, first]


def test_a_trainer_that_was_saved_goes_on_as_if_it_had_not_been(
    tmp_path: Path, teacher: Teacher, text: list[Conversation]
) -> None:
    trainer = _trainer(teacher, text)
    trainer.lessons = _lessons(tmp_path / "lessons", teacher, trainer.student, text)
    trainer.begin(Phase.ALL, at_s=12.0)
    for _ in range(10):
        trainer.step(progress=0.1)
    trainer.save(tmp_path / "saved")
    resumed = Trainer.load(tmp_path / "saved", teacher=teacher, dtype=torch.float32, seed=0)
    resumed.lessons = trainer.lessons
    assert resumed.state == trainer.state
    losses = [(trainer.step(progress=0.2), resumed.step(progress=0.2)) for _ in range(5)]
    assert all(ours == pytest.approx(theirs, rel=1e-2) for theirs, ours in losses)
    for (name, ours), theirs in zip(resumed.student.named_parameters(), trainer.student.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.02, atol=2e-4, msg=name)


def test_a_save_that_finds_no_room_leaves_the_old_file(
    tmp_path: Path, teacher: Teacher, text: list[Conversation]
) -> None:
    import resource

    trainer = _trainer(teacher, text)
    path = tmp_path / "saved"
    trainer.save(path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            trainer.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["saved"]
