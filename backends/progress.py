"""How long work tells how far it is: one event type, and sinks for a program or a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import IO

import msgspec

__all__ = ("Progress", "ProgressSink", "decode_progress", "json_lines", "silent")


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of a long piece of work."""

    variant: str
    """The variant being worked on."""
    stage: str
    """What is being done: `fetch`, `convert`, `select`, `heal`, `write`, `distill`, `measure`, `ready`, `failed`."""
    done: float = 0.0
    """Share done of this stage, in [0, 1]."""
    message: str = ""
    """For a person: figures, names, or what went wrong."""


ProgressSink = Callable[[Progress], None]
"""Receives every step; must return quickly and never raise."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Progress)


def silent(_: Progress) -> None:
    """Drop it."""


def json_lines(stream: IO[bytes]) -> ProgressSink:
    """A sink that writes one JSON object a line, for the process that started us."""

    def write(step: Progress) -> None:
        stream.write(_encoder.encode(step) + b"\n")
        stream.flush()

    return write


def decode_progress(line: bytes) -> Progress | None:
    """Read one line of `json_lines`; None for anything else a program may have printed."""
    try:
        return _decoder.decode(line)
    except msgspec.MsgspecError:
        return None
