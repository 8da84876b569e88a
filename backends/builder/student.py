"""The model in training: what is left of the teacher, of which the layers from just before the cut on learn."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from backends.builder.cut import Cut
from backends.builder.teacher import Rotary, Teacher, run_layers, torch

__all__ = ("Student",)

_BEFORE, _AFTER = 2, 1
"""Layers on each side of the cut that learn to close it, before all that follow learn to live with what remains."""


class Student(torch.nn.Module):
    """The trainable upper part; the layers below are the teacher's and never change.

    So the teacher's hidden states at `entry` are the student's too: they are computed once, and no training step runs
    the layers below.
    """

    def __init__(
        self, *, first: int, count: int, layers: Sequence[torch.nn.Module], norm: torch.nn.Module, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.dtype = dtype
        """Precision of the multiplications; weights are float32 whatever it is."""
        self.first, self.count = first, count
        self.entry = max(first - _BEFORE, 0)
        """Index of the lowest layer that learns."""
        self.near = first - self.entry + _AFTER
        """How many of `layers` lie around the cut."""
        self.target = first + count + _AFTER
        """The teacher has done what the layers `near` the cut should do when it enters this layer."""
        self.layers = torch.nn.ModuleList(copy.deepcopy(layer) for layer in layers)
        self.norm = copy.deepcopy(norm)

    @classmethod
    def from_cut(cls, cut: Cut, teacher: Teacher, *, dtype: torch.dtype) -> Student:
        """A student that starts from the closed form."""
        entry = max(cut.first - _BEFORE, 0)
        return cls(
            first=cut.first, count=cut.count, layers=cut.layers(teacher)[entry:], norm=teacher.norm, dtype=dtype
        )

    @classmethod
    def blank(cls, teacher: Teacher, *, first: int, count: int, dtype: torch.dtype) -> Student:
        """A student of the right shape, to load saved weights into."""
        entry = max(first - _BEFORE, 0)
        layers = [*teacher.layers[entry:first], *teacher.layers[first + count :]]
        return cls(first=first, count=count, layers=layers, norm=teacher.norm, dtype=dtype)

    @property
    def removed(self) -> list[int]:
        """Indices of the teacher's layers that it does without."""
        return list(range(self.first, self.first + self.count))

    def close_gap(self, entering: torch.Tensor, rotary: Rotary) -> torch.Tensor:
        """What comes out of the layers around the cut. (batch, length, width), as what goes in."""
        with self._autocast():
            return run_layers(self.layers[: self.near], entering, rotary).float()

    def finish(self, entering: torch.Tensor, rotary: Rotary) -> torch.Tensor:
        """The last hidden states, after the final norm."""
        with self._autocast():
            return self.norm(run_layers(self.layers, entering, rotary)).float()

    def whole(self, teacher: Teacher) -> list[torch.nn.Module]:
        """All layers of the student, the teacher's lower ones included."""
        return [*teacher.layers[: self.entry], *self.layers]

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cpu", dtype=self.dtype, enabled=self.dtype != torch.float32)
