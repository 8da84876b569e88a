"""How much a recipe does: the numbers behind `built:pruned` and `built:distilled`, in one place."""

from __future__ import annotations

import msgspec

__all__ = ("DEFAULT_MINUTES", "Plan")

DEFAULT_MINUTES = 15.0
"""Time for a distillation when nobody says otherwise."""

_HELD_OUT_FROM = 1_000_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The defaults are what the README's figures were measured with; tests do less of everything."""

    layers_out: int = 5
    """Layers taken out: the fewest of thirty that make decoding a tenth faster."""
    seed: int = 0
    """Of the prompts, the teacher's answers and the order of the lessons."""
    calibration_prompts: int = 128
    """Conversations to choose the block by, and to fit the closed form on."""
    deciding_prompts: int = 24
    """Held-out conversations that decide among the best blocks."""
    held_out_prompts: int = 64
    """Conversations that nothing is fitted to, for measuring; the deciding ones are the first of them."""
    training_prompts: int = 4096
    """Conversations to learn from, as far as there is time to write them."""
    chunk_prompts: int = 128
    """Conversations written between two looks at the clock."""
    text_share: float = 0.20
    """Share of the time that writing text may take."""
    lessons_share: float = 0.15
    """Share of what is then left, for the teacher to read it."""
    near_share: float = 0.30
    """Share of what is then left, in which only the layers around the cut learn."""
    checkpoints: int = 3
    """Times within a phase that the student is measured, and published if it is better."""
    save_every_s: float = 60.0
    """Seconds of training that a killed run loses at most."""

    @property
    def calibration(self) -> range:
        """Prompts to fit the closed form on."""
        return range(self.calibration_prompts)

    @property
    def training(self) -> range:
        """Prompts to learn from; they begin with those of the calibration."""
        return range(self.training_prompts)

    @property
    def held_out(self) -> range:
        """Prompts that nothing is fitted to."""
        return range(_HELD_OUT_FROM, _HELD_OUT_FROM + self.held_out_prompts)

    @property
    def deciding(self) -> range:
        """Prompts that decide which block goes."""
        return self.held_out[: self.deciding_prompts]
