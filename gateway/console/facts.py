"""A figure with its name: what most pages are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ("Fact",)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A name and what it is, both short."""

    name: str
    value: str
    kind: Literal["text", "code"] = "text"
    """`code` for what is copied."""
    note: str = ""
    """Said after it, in small."""
    tone: str = ""
    """`good`, `warn`, `bad`; empty for what is neither."""
    url: str = ""
    """Where there is more of it; empty for nowhere."""
