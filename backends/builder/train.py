"""Training a student: one step after another, with a state on the disk from which a killed run goes on."""

from __future__ import annotations

import math
from enum import IntEnum
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
from safetensors import safe_open
from safetensors.torch import save

from backends.builder.lessons import Lesson, Lessons
from backends.builder.student import Student
from backends.builder.teacher import Teacher, kl_divergence, mean_kl, torch
from backends.models.files import write_atomically

__all__ = ("Phase", "State", "Trainer")

_PEAK_RATE = 4e-4
_LOWEST_RATE = 0.05
"""Share of the peak that is left at the end of a phase."""
_WARMUP_STEPS = 20
_MAX_GRADIENT_NORM = 1.0


class Phase(IntEnum):
    """What learns, and from what; in this order."""

    CUT = 0
    """Nothing yet: the closed form."""
    NEAR = 1
    """The layers around the cut, from the teacher's hidden states behind it. No output projection, so it is quick."""
    ALL = 2
    """Those and all that follow, from the teacher's next-token distributions."""


class State(msgspec.Struct, kw_only=True):
    """Where the training stands, beside the weights."""

    first: int
    """First layer cut out."""
    count: int
    """Layers cut out."""
    phase: Phase = Phase.CUT
    step: int = 0
    """Steps done in this phase."""
    checkpoints: int = 0
    """Times that the student was measured in this phase."""
    begin_s: float = 0.0
    """When the phase began, on the run's stopwatch; in seconds."""
    tokens: int = 0
    """Tokens learnt from in all phases, repetitions counted."""


class Trainer:
    """Makes steps. Lessons come in an order that the seed and the step determine."""

    def __init__(
        self, student: Student, *, state: State, teacher: Teacher, lessons: Lessons | None = None, seed: int
    ) -> None:
        self.student = student
        self.state = state
        self.lessons = lessons
        """What to learn from; needed before the first step."""
        self._head = teacher.head.to(student.dtype)
        self._seed = seed
        self._optimizer = self._new_optimizer()

    @classmethod
    def load(cls, path: Path, *, teacher: Teacher, dtype: torch.dtype, seed: int) -> Self:
        """Go on from a saved file."""
        with safe_open(path, framework="pt") as file:
            state = msgspec.json.decode(file.metadata()["state"], type=State)
            student = Student.blank(teacher, first=state.first, count=state.count, dtype=dtype)
            trainer = cls(student, state=state, teacher=teacher, seed=seed)
            for name, weight in student.named_parameters():
                weight.data.copy_(file.get_tensor(f"weight.{name}"))
                moments = {key: f"{key}.{name}" for key in ("step", "exp_avg", "exp_avg_sq")}
                if moments["step"] in file.keys():  # noqa: SIM118 - not a dictionary
                    trainer._optimizer.state[weight] = {
                        key: file.get_tensor(saved).float() for key, saved in moments.items()
                    }
        return trainer

    def begin(self, phase: Phase, *, at_s: float) -> None:
        """Enter a phase."""
        self.state = msgspec.structs.replace(self.state, phase=phase, step=0, checkpoints=0, begin_s=at_s)
        self._optimizer = self._new_optimizer()

    def step(self, *, progress: float) -> float:
        """Learn from the next lesson; returns its loss.

        Args:
            progress: Share of the phase that is over, in [0, 1]: the learning rate falls along half a cosine.
        """
        state = self.state
        lesson = self._next_lesson()
        decay = _LOWEST_RATE + (1 - _LOWEST_RATE) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self._optimizer.param_groups:
            group["lr"] = _PEAK_RATE * decay * min(1.0, (state.step + 1) / _WARMUP_STEPS)
        loss = self._gap_loss(lesson) if state.phase is Phase.NEAR else self._kl_loss(lesson)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learning(), _MAX_GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad()
        state.step += 1
        state.tokens += int(lesson.real.sum())
        return float(loss.detach())

    @torch.no_grad()
    def distance(self, lessons: Lessons) -> float:
        """Nats per answer token from the teacher to the student."""
        read = (lessons[index] for index in range(len(lessons)))
        return mean_kl(self._head, ((lesson.last.to(self._head), self._last(lesson)) for lesson in read))

    def save(self, path: Path) -> None:
        """Write weights, optimiser and state, replacing the file at once.

        Raises:
            OSError: No room; the file that was there stays.
        """
        tensors = {f"weight.{name}": weight.detach() for name, weight in self.student.named_parameters()}
        for name, weight in self.student.named_parameters():
            for key, moment in self._optimizer.state.get(weight, {}).items():
                # Two bytes are enough for moments: they are averages of noise.
                tensors[f"{key}.{name}"] = moment if key == "step" else moment.bfloat16()
        metadata = {"state": msgspec.json.encode(self.state).decode()}
        write_atomically(path, save(tensors, metadata))

    def _new_optimizer(self) -> torch.optim.Optimizer:
        self.student.requires_grad_(requires_grad=self.state.phase is Phase.ALL)
        for layer in self.student.layers[: self.student.near]:
            layer.requires_grad_(requires_grad=True)
        return torch.optim.AdamW(self._learning(), betas=(0.9, 0.95), weight_decay=0.01, fused=True)

    def _learning(self) -> list[torch.nn.Parameter]:
        return [weight for weight in self.student.parameters() if weight.requires_grad]

    def _next_lesson(self) -> Lesson:
        if self.lessons is None:
            raise RuntimeError("a trainer needs lessons before its first step")
        epoch, place = divmod(self.state.step, len(self.lessons))
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self.lessons))
        return self.lessons[int(order[place])]

    def _gap_loss(self, lesson: Lesson) -> torch.Tensor:
        """Mean squared distance from the teacher's hidden states, relative to their length."""
        found = self.student.close_gap(lesson.entering, lesson.rotary)[lesson.real]
        wanted = lesson.target[lesson.real]
        return ((found - wanted).pow(2).sum(-1) / wanted.pow(2).sum(-1)).mean()

    def _kl_loss(self, lesson: Lesson) -> torch.Tensor:
        return kl_divergence(self._head, lesson.last.to(self._head), self._last(lesson)) / lesson.tokens

    def _last(self, lesson: Lesson) -> torch.Tensor:
        return self.student.finish(lesson.entering, lesson.rotary)[lesson.answers].to(self._head)
