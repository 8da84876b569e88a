"""Where in a build's directory the weights are."""

from __future__ import annotations

from pathlib import Path

from backends.errors import EngineError

__all__ = ("find_gguf",)


def find_gguf(directory: Path) -> Path:
    """The one GGUF file of a build.

    Raises:
        EngineError: There is none, or more than one.
    """
    files = sorted(directory.glob("*.gguf"))
    if len(files) != 1:
        raise EngineError(f"{directory} holds {len(files)} GGUF files, expected one")
    return files[0]
