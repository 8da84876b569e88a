"""`built:distilled`: the pruned model, taught by the whole one for a stated number of minutes.

    cut       a block of layers out, in closed form: the first build that is published
    text      the quantised teacher answers the prompts of `corpus`
    lessons   the teacher's hidden states on the text, kept on the disk
    near      the layers around the cut learn to do what the block did
    all       everything from there on learns the teacher's next-token distributions

`Plan` says which share of the time each may take.

A checkpoint is published when its divergence from the teacher on held-out text is lower than that of the build it
replaces. Everything that took time is kept in the work directory: a run that was killed goes on where it was, and one
that is given more minutes goes on from where the last one ended.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path

from backends.builder.cut import cut_layers
from backends.builder.lessons import Lessons
from backends.builder.plan import DEFAULT_MINUTES, Plan
from backends.builder.recipe import RecipeContext
from backends.builder.stopwatch import Stopwatch
from backends.builder.student import Student
from backends.builder.teacher import Conversation, Teacher, fast_dtype
from backends.builder.train import Phase, State, Trainer
from backends.builder.writer import Writer, read_text, write_text
from backends.models import bundled
from backends.models.manifest import BuildStage, Lineage, Parameter
from backends.models.store import Build

__all__ = ("distill", "run")

_REPORT_EVERY = 5
"""Steps between two reports."""
_KL = "held_out_kl"
"""Lineage parameter: nats per answer token from the full model, on text that nothing was fitted to."""

Until = Callable[[float], bool]
"""Told the share of a stage that is done; answers whether the time for it is over."""


def run(context: RecipeContext) -> None:
    """Make the distilled variant, or go on making it."""
    distill(context, plan=Plan())


def distill(context: RecipeContext, *, plan: Plan) -> None:
    """Make it as planned."""
    base, quantized = context.require("dequantize"), context.require("q8_0")
    minutes = DEFAULT_MINUTES if context.minutes is None else context.minutes
    work = _work_directory(context, base, plan)
    _Run(context, plan=plan, work=work, base=base, quantized=quantized, minutes=minutes).go()


def _work_directory(context: RecipeContext, base: Build, plan: Plan) -> Path:
    """Where this very distillation keeps its state; what another one left there is removed."""
    key = f"{base.reference}|{plan}"
    work = context.work / hashlib.sha256(key.encode()).hexdigest()[:12]
    for other in context.work.iterdir():
        if other != work:
            shutil.rmtree(other)
    work.mkdir(exist_ok=True)
    for unfinished in work.rglob(".*.tmp"):
        unfinished.unlink()
    return work


class _Run:
    """One run, from the start or from where the one before was stopped."""

    def __init__(
        self, context: RecipeContext, *, plan: Plan, work: Path, base: Build, quantized: Build, minutes: float
    ) -> None:
        self._context = context
        self._plan = plan
        self._work = work
        self._minutes = minutes
        self._base = base
        self._quantized = quantized
        self._stopwatch = Stopwatch(work / "seconds", total_s=60.0 * minutes)
        self._saved = work / "training.safetensors"
        self._dtype = fast_dtype()
        self._teacher = Teacher(base.path)

    def go(self) -> None:
        """All stages."""
        held_out_text = self._text("held-out", self._plan.held_out, until=_all)
        calibration = self._text("text", self._plan.calibration, until=_all)
        trainer = self._trainer(calibration, held_out_text)
        held_out = self._lessons("held-out", held_out_text, trainer.student, until=_all)
        if self._published_kl() == math.inf:
            self._publish(trainer, kl=trainer.distance(held_out), stage="checkpoint")
        self._stopwatch.start()
        text = self._text(
            "text", self._plan.training, until=self._time_for("select", "writing text", self._plan.text_share)
        )
        reading = self._time_for("heal", "reading the teacher's mind", self._plan.lessons_share)
        trainer.lessons = self._lessons("lessons", text, trainer.student, until=reading)
        self._train(trainer, held_out)
        self._finish(trainer, held_out)

    def _text(self, name: str, indices: range, *, until: Until) -> list[Conversation]:
        """The teacher's answers to these prompts, or to as many as there is time for."""
        path = self._work / f"{name}.jsonl"
        text = read_text(path)
        if len(text) < len(indices) and not until(len(text) / len(indices)):
            writer = Writer(self._quantized.gguf, seed=self._plan.seed)
            while len(text) < len(indices) and not until(len(text) / len(indices)):
                chunk = writer.write(indices[len(text) : len(text) + self._plan.chunk_prompts])
                write_text(path, chunk)
                self._stopwatch.save()
                text += chunk
        return text

    def _trainer(self, calibration: list[Conversation], held_out: list[Conversation]) -> Trainer:
        """As it was saved, or with a student in closed form."""
        if self._saved.is_file():
            return Trainer.load(self._saved, teacher=self._teacher, dtype=self._dtype, seed=self._plan.seed)
        self._context.report("heal", message=f"looking for the {self._plan.layers_out} layers that are missed least")
        cut = cut_layers(
            self._teacher,
            count=self._plan.layers_out,
            calibration=calibration,
            held_out=held_out[: self._plan.deciding_prompts],
        )
        student = Student.from_cut(cut, self._teacher, dtype=self._dtype)
        trainer = Trainer(
            student, state=State(first=cut.first, count=cut.count), teacher=self._teacher, seed=self._plan.seed
        )
        self._save(trainer)
        return trainer

    def _lessons(self, name: str, text: list[Conversation], student: Student, *, until: Until) -> Lessons:
        lessons = Lessons(self._work / name, teacher=self._teacher, student=student, text=text, seed=self._plan.seed)
        lessons.prepare(until=until, dtype=self._dtype)
        return lessons

    def _time_for(self, stage: str, message: str, share: float) -> Until:
        """Stop after this share of the time that is left now; tells how far the stage is."""
        begin_s = self._stopwatch.elapsed_s

        def until(done: float) -> bool:
            spent = self._stopwatch.progress(begin_s=begin_s, share=share)
            self._context.report(stage, done=max(done, spent), message=message)
            return spent >= 1.0

        return until

    def _train(self, trainer: Trainer, held_out: Lessons) -> None:
        """Step until the time is over, phase by phase."""
        phases = {Phase.NEAR: self._plan.near_share, Phase.ALL: 1.0}
        for phase, share in phases.items():
            if trainer.state.phase < phase:
                trainer.begin(phase, at_s=self._stopwatch.elapsed_s)
            if trainer.state.phase == phase:
                self._train_phase(trainer, held_out, share=share)

    def _train_phase(self, trainer: Trainer, held_out: Lessons, *, share: float) -> None:
        saved_s = self._stopwatch.elapsed_s
        while (progress := self._progress(trainer, share)) < 1.0:
            loss = trainer.step(progress=progress)
            if self._stopwatch.elapsed_s > saved_s + self._plan.save_every_s:
                self._save(trainer)
                saved_s = self._stopwatch.elapsed_s
            if trainer.state.step % _REPORT_EVERY == 0:
                message = f"{trainer.state.phase.name.lower()}: loss {loss:.3f}, {trainer.state.tokens} tokens"
                self._context.report("distill", done=self._stopwatch.share, message=message)
            if progress * self._plan.checkpoints >= trainer.state.checkpoints + 1:
                trainer.state.checkpoints += 1
                self._publish_if_better(trainer, held_out)

    def _progress(self, trainer: Trainer, share: float) -> float:
        return self._stopwatch.progress(begin_s=trainer.state.begin_s, share=share)

    def _finish(self, trainer: Trainer, held_out: Lessons) -> None:
        """Publish or seal, and keep what a later run with more minutes goes on from."""
        self._save(trainer)
        kl = trainer.distance(held_out)
        if kl < self._published_kl():
            self._publish(trainer, kl=kl, stage="final")
        else:
            self._context.seal(self._parameters(trainer))
        for lessons in ("lessons", "held-out"):
            shutil.rmtree(self._work / lessons, ignore_errors=True)

    def _save(self, trainer: Trainer) -> None:
        trainer.save(self._saved)
        self._stopwatch.save()

    def _publish_if_better(self, trainer: Trainer, held_out: Lessons) -> None:
        kl = trainer.distance(held_out)
        if kl < self._published_kl():
            self._publish(trainer, kl=kl, stage="checkpoint")

    def _published_kl(self) -> float:
        """The divergence of the current build, infinite where it is another recipe's or there is none."""
        current = self._context.store.current(self._context.variant.name)
        if current is None or current.source != self._context.variant.source:
            return math.inf
        if self._base.reference not in current.lineage.parents:
            return math.inf
        kl = current.lineage.parameters.get(_KL)
        return kl if isinstance(kl, float) else math.inf

    def _publish(self, trainer: Trainer, *, kl: float, stage: BuildStage) -> None:
        directory = self._context.staging()
        self._context.report("write", message=f"{kl:.3f} nats from the full model")
        self._teacher.write(
            directory / f"{bundled.NAME}.distilled.Q8_0.gguf",
            layers=trainer.student.whole(self._teacher),
            norm=trainer.student.norm,
            metadata_from=self._quantized.gguf,
        )
        parameters = self._parameters(trainer) | {_KL: round(kl, 4)}
        lineage = Lineage(recipe="distill", parents=(self._base.reference,), parameters=parameters)
        self._context.publish(directory, lineage=lineage, stage=stage)

    def _parameters(self, trainer: Trainer) -> dict[str, Parameter]:
        return {
            "seed": self._plan.seed,
            "layers_removed": trainer.student.removed,
            "minutes": self._minutes,
            "trained_s": round(self._stopwatch.elapsed_s, 1),
            "tokens": trainer.state.tokens,
        }


def _all(_: float) -> bool:
    """Stop at nothing."""
    return False
