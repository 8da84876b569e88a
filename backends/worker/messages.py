"""What the two processes of a worker say to each other.

A worker is an HTTP process and, under it, an engine process. Inference libraries hold the interpreter lock for a
whole decoding step, so the socket is answered by a process that never runs one. Frames are a four-byte length
followed by MessagePack.
"""

from __future__ import annotations

import socket
import struct
import threading
from typing import Literal

import msgspec

from backends.types import Capability
from backends.worker.spec import WorkerSpec

__all__ = (
    "HEADER",
    "Accepted",
    "Cancel",
    "Channel",
    "Command",
    "Embed",
    "Embedded",
    "Failed",
    "Piece",
    "Pieces",
    "Ready",
    "Refused",
    "Reply",
    "Sampling",
    "Submit",
    "TokenLogprob",
    "Turn",
    "encode_frame",
)

HEADER = struct.Struct(">I")
"""The length in front of every frame."""


class Sampling(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the tokens of one answer are drawn."""

    max_tokens: int | None = None
    """Tokens to generate at most; what is left of the context when absent."""
    temperature: float = 1.0
    """0 takes the most likely token."""
    top_p: float = 1.0
    seed: int = 0
    """Non-negative, below 2**63. The same seed, prompt and parameters give the same answer."""
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logprobs: bool = False
    """Report the log probability of each generated token."""
    json_schema: str | None = None
    """The answer must satisfy this JSON schema."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation, as chat templates take it."""

    role: Literal["system", "user", "assistant"]
    content: str


class Submit(msgspec.Struct, frozen=True, kw_only=True, tag="submit"):
    """Generate one answer to `prompt` per id, the i-th with the seed raised by i."""

    ids: list[int]
    prompt: str | list[Turn]
    sampling: Sampling


class Embed(msgspec.Struct, frozen=True, kw_only=True, tag="embed"):
    """Turn each text into a vector."""

    id: int
    texts: list[str]


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Stop generating these; each is confirmed by a piece that finishes as `cancelled`. An `Embed` is dropped."""

    ids: list[int]


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The engine is loaded and warmed up."""

    capabilities: list[Capability]
    max_running: int
    """Answers it generates together; no more than the variant's."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True, tag="accepted"):
    """A `Submit` was read and will run."""

    id: int
    """Its first id."""
    prompt_tokens: int


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    """A `Submit` or an `Embed` will not run."""

    id: int
    """Its first id."""
    message: str
    param: str | None = None
    code: str | None = None


class TokenLogprob(msgspec.Struct, frozen=True, kw_only=True):
    """One generated token with its log probability."""

    token: str
    logprob: float


class Piece(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one step added to one answer."""

    id: int
    text: str = ""
    """Whole characters only; may be empty while a character is incomplete."""
    tokens: int = 0
    """Tokens generated."""
    logprobs: list[TokenLogprob] = []
    finish: Literal["stop", "length", "cancelled"] | None = None
    error: str | None = None
    """The answer cannot be completed."""
    queued_s: float = 0.0
    """How long it waited for the engine to take it up; told by its first piece."""


class Pieces(msgspec.Struct, frozen=True, kw_only=True, tag="pieces"):
    """What one step added."""

    pieces: list[Piece]
    kv_usage: float = 0.0


class Embedded(msgspec.Struct, frozen=True, kw_only=True, tag="embedded"):
    """The vectors of an `Embed`."""

    id: int
    vectors: bytes
    """One after the other in the order of the texts, 32-bit floats in the machine's byte order."""
    width: int
    """Numbers in a vector."""
    prompt_tokens: int
    """Of all texts together."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The engine is broken; its process ends after this."""

    message: str


Command = Submit | Embed | Cancel
Reply = Ready | Accepted | Refused | Pieces | Embedded | Failed


def encode_frame(message: msgspec.Struct) -> bytes:
    """A message as it goes over the socket."""
    body = msgspec.msgpack.encode(message)
    return HEADER.pack(len(body)) + body


class Channel:
    """The engine process's end: blocking, any thread may send."""

    def __init__(self, sock: socket.socket) -> None:
        self._reader = sock.makefile("rb")
        self._sock = sock
        self._lock = threading.Lock()
        self._commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)

    def send(self, reply: Reply) -> None:
        """Send one message.

        Raises:
            OSError: The HTTP process is gone.
        """
        frame = encode_frame(reply)
        with self._lock:
            self._sock.sendall(frame)

    def spec(self) -> WorkerSpec:
        """The first frame: what to load.

        Raises:
            EOFError: The HTTP process is gone.
        """
        return msgspec.msgpack.decode(self._frame(), type=WorkerSpec)

    def receive(self) -> Command:
        """Wait for the next command.

        Raises:
            EOFError: The HTTP process is gone.
        """
        return self._commands.decode(self._frame())

    def _frame(self) -> bytes:
        header = self._reader.read(HEADER.size)
        body = self._reader.read(HEADER.unpack(header)[0]) if len(header) == HEADER.size else b""
        if not body:
            raise EOFError("the HTTP process is gone")
        return body
