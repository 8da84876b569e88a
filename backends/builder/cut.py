"""Taking a block of layers out of a model and closing the gap: which block, and how.

The candidates are the blocks whose removal turns the hidden states least, by the angle between what goes into the
block and what comes out (ShortGPT, 2024). In each of them the layer before the block takes over what a linear
map can of the block's work (ReplaceMe, 2025): with M the output of that layer's MLP, Y the residual stream
that M is added to and H what comes out of the block, T minimises |M T - (H - Y)|, every token weighed by 1 / |H|, and
is folded into the MLP's last projection. The candidate that then stays closest to the whole model wins.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from backends.builder.teacher import Conversation, Teacher, mean_kl, pad, run_layers, to_batches, torch

__all__ = ("Block", "Cut", "cut_layers")

_SHORTLIST = 3
_RIDGE = 1e-4
"""Pull towards T = 1, relative to the mean square of M."""
_BATCH_TOKENS = 1024


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A block taken out and the layer that makes up for it."""

    first: int
    """Index of the first layer taken out; the layer before it is replaced by `bridge`."""
    count: int
    bridge: torch.nn.Module
    angle: float
    """How far the block turned the hidden states, as a share of pi."""

    @property
    def removed(self) -> list[int]:
        """Indices of the layers taken out."""
        return list(range(self.first, self.first + self.count))

    def layers(self, teacher: Teacher) -> list[torch.nn.Module]:
        """The layers that are left, in order."""
        return [*teacher.layers[: self.first - 1], self.bridge, *teacher.layers[self.first + self.count :]]


@torch.no_grad()
def cut_layers(
    teacher: Teacher, *, count: int, calibration: Sequence[Conversation], held_out: Sequence[Conversation]
) -> Cut:
    """Take `count` layers out.

    Args:
        teacher: The whole model; left as it is.
        count: Layers to take out.
        calibration: Text to measure angles and fit maps on; ten thousand tokens are plenty.
        held_out: Other text, to choose among the candidates.
    """
    blocks = _survey(teacher, count=count, text=calibration)
    shortlist = sorted(blocks, key=lambda first: blocks[first].angle)[:_SHORTLIST]
    cuts = [
        Cut(
            first=first,
            count=count,
            bridge=_fold(teacher.layers[first - 1], blocks[first].solve()),
            angle=blocks[first].angle,
        )
        for first in shortlist
    ]
    batches = to_batches(held_out, tokens=_BATCH_TOKENS)
    targets = [_answers(teacher, teacher.layers, batch) for batch in batches]

    def distance(cut: Cut) -> float:
        layers = cut.layers(teacher)
        states = (_answers(teacher, layers, batch) for batch in batches)
        return mean_kl(teacher.head, zip(targets, states, strict=True))

    return min(cuts, key=distance)


class Block:
    """What is learnt of one block from text: its angle, and the normal equations of T."""

    def __init__(self, width: int) -> None:
        self._angles = 0.0
        self._tokens = 0
        self._gram = torch.zeros(width, width, dtype=torch.float64)
        self._cross = torch.zeros(width, width, dtype=torch.float64)

    @property
    def angle(self) -> float:
        """Mean angle between what enters and what leaves, as a share of pi."""
        return self._angles / self._tokens

    def add(self, written: torch.Tensor, entering: torch.Tensor, leaving: torch.Tensor) -> None:
        """(tokens, width) each: M, what enters the block (Y + M), what leaves it (H)."""
        cosines = torch.cosine_similarity(entering, leaving, dim=-1).clamp(-1, 1)
        self._angles += float(torch.arccos(cosines).sum()) / math.pi
        self._tokens += len(cosines)
        weights = 1.0 / leaving.norm(dim=-1, keepdim=True)
        inputs = written * weights
        self._gram += inputs.T @ inputs
        self._cross += inputs.T @ ((leaving - (entering - written)) * weights)

    def solve(self) -> torch.Tensor:
        """T, (width, width)."""
        ridge = _RIDGE * self._gram.diagonal().mean() * torch.eye(len(self._gram), dtype=torch.float64)
        return torch.linalg.solve(self._gram + ridge, self._cross + ridge)


def _survey(teacher: Teacher, *, count: int, text: Sequence[Conversation]) -> dict[int, Block]:
    """All blocks of `count` layers, by first layer. A block needs a layer before it that can make up for it."""
    width = teacher.head.shape[1]
    blocks = {first: Block(width) for first in range(1, len(teacher.layers) + 1 - count)}
    for batch in to_batches(text, tokens=_BATCH_TOKENS):
        ids, real, _ = pad(batch)
        hidden, rotary = teacher.embed(ids), teacher.rotary(ids.shape[1])
        states = [hidden[real]]
        with _mlp_outputs(teacher) as written:
            for layer in teacher.layers:
                hidden = run_layers([layer], hidden, rotary)
                states.append(hidden[real])
        for first, block in blocks.items():
            block.add(written[first - 1][real], states[first], states[first + count])
    return blocks


@contextmanager
def _mlp_outputs(teacher: Teacher) -> Iterator[list[torch.Tensor]]:
    """Collects the output of every MLP that runs inside, in order."""
    outputs: list[torch.Tensor] = []
    hooks = [
        layer.mlp.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
        for layer in teacher.layers
    ]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _fold(layer: torch.nn.Module, map_: torch.Tensor) -> torch.nn.Module:
    """A copy of a layer whose MLP writes x T instead of x: (x W') with W' = T' W, as torch keeps weights."""
    bridge = copy.deepcopy(layer)
    weight = bridge.mlp.down_proj.weight
    weight.copy_((map_.T @ weight.double()).float())
    return bridge


def _answers(teacher: Teacher, layers: Sequence[torch.nn.Module], batch: Sequence[Conversation]) -> torch.Tensor:
    """(answer tokens, width): the last hidden states from which the answer's tokens are predicted."""
    ids, _, answers = pad(batch)
    hidden = run_layers(layers, teacher.embed(ids), teacher.rotary(ids.shape[1]))
    return teacher.norm(hidden)[answers]
