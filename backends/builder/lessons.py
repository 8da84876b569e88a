"""What the student is taught from: the teacher's hidden states on its own text, computed once and kept on the disk.

The student shares the teacher's lower layers, so one pass of the teacher serves every epoch: a lesson has what enters
the lowest layer that learns, what should leave the layers around the cut, and the last hidden states of the answers,
from which the teacher's whole next-token distribution follows by one multiplication.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.torch import load_file, save

from backends.builder.student import Student
from backends.builder.teacher import Conversation, Rotary, Teacher, pad, run_layers, to_batches, torch
from backends.models.files import write_atomically

__all__ = ("BATCH_TOKENS", "Lesson", "Lessons")

BATCH_TOKENS = 1024


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One batch. Hidden states are float32 again when read; on the disk they take two bytes a number."""

    entering: torch.Tensor
    """(batch, length, width): what enters the lowest layer that learns."""
    target: torch.Tensor
    """(batch, length, width): what should leave the layers around the cut."""
    last: torch.Tensor
    """(answer tokens, width): the teacher's last hidden states."""
    real: torch.Tensor
    """(batch, length): where a token is and no padding."""
    answers: torch.Tensor
    """(batch, length): where the next token belongs to an answer."""
    rotary: Rotary

    @property
    def tokens(self) -> int:
        """Answer tokens."""
        return len(self.last)


class Lessons:
    """A fixed sequence of lessons in a directory; made once, in any number of runs."""

    def __init__(
        self, directory: Path, *, teacher: Teacher, student: Student, text: Sequence[Conversation], seed: int
    ) -> None:
        self._directory = directory
        self._teacher = teacher
        self._entry, self._target = student.entry, student.target
        self._batches = to_batches(text, tokens=BATCH_TOKENS)
        # Batches come in order of length; time may end before the last one, and then all lengths should be there.
        np.random.default_rng(seed).shuffle(self._batches)
        directory.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        """Lessons made so far."""
        return sum(1 for _ in self._directory.glob("*.safetensors"))

    def prepare(self, *, until: Callable[[float], bool], dtype: torch.dtype) -> None:
        """Make what is missing, one lesson at least, until there is no more text or `until(share done)` says so."""
        for index in range(len(self), len(self._batches)):
            self._make(index, dtype)
            if until((index + 1) / len(self._batches)):
                return

    def __getitem__(self, index: int) -> Lesson:
        """Read one."""
        tensors = load_file(self._path(index))
        length = tensors["real"].shape[1]
        states = {name: tensors[name].float() for name in ("entering", "target", "last")}
        return Lesson(**states, real=tensors["real"], answers=tensors["answers"], rotary=self._teacher.rotary(length))

    @torch.no_grad()
    def _make(self, index: int, dtype: torch.dtype) -> None:
        ids, real, answers = pad(self._batches[index])
        teacher, rotary = self._teacher, self._teacher.rotary(ids.shape[1])
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            entering = run_layers(teacher.layers[: self._entry], teacher.embed(ids), rotary)
            target = run_layers(teacher.layers[self._entry : self._target], entering, rotary)
            last = teacher.norm(run_layers(teacher.layers[self._target :], target, rotary))[answers]
        states = {"entering": entering, "target": target, "last": last}
        tensors = {name: state.bfloat16().contiguous() for name, state in states.items()}
        write_atomically(self._path(index), save({**tensors, "real": real, "answers": answers}))

    def _path(self, index: int) -> Path:
        return self._directory / f"{index:06}.safetensors"
