"""Why nothing was learned, put in force, or reported."""

from __future__ import annotations

__all__ = ("LearningError", "NoSuchTrainingError", "ReportError", "TooLittleDataError")


class LearningError(Exception):
    """Root of the tree."""


class NoSuchTrainingError(LearningError):
    """There is no such training, or what it learned is no longer stored."""


class TooLittleDataError(LearningError):
    """The log holds too few answered requests."""

    def __init__(self, *, rows: int, needed: int) -> None:
        super().__init__(
            f"{rows} answered requests can be learned from, at least {needed} are needed; "
            "`trilemma calibrate` makes some, and so does traffic"
        )
        self.rows = rows
        self.needed = needed


class ReportError(LearningError):
    """A report on learning could not be made."""
