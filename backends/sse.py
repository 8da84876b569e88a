"""Server-sent events: an incremental reader that survives any split, and the encoder of our own streams.

Only event data matters here; names, ids and retry times are skipped, and so are comments and events without data.
The reader follows the WHATWG grammar with one liberty: a last event without its blank line still counts, because
some servers close the connection right after it.
"""

from __future__ import annotations

from backends.errors import ProtocolError

__all__ = ("DONE", "DONE_DATA", "MAX_EVENT_BYTES", "SseReader", "encode_event")

MAX_EVENT_BYTES = 4 * 1024 * 1024
"""Default bound on one event, against servers that never send a blank line."""

DONE_DATA = b"[DONE]"
"""Data of the event that ends an OpenAI stream."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def encode_event(data: bytes) -> bytes:
    """One event as it goes over the wire; a line feed in `data` becomes a second data line."""
    if b"\n" in data:
        data = data.replace(b"\n", b"\ndata: ")
    return b"data: " + data + b"\n\n"


DONE = encode_event(DONE_DATA)
"""The encoded event that ends an OpenAI stream."""


class SseReader:
    """Turns chunks of bytes into the data of whole events. One reader per stream."""

    __slots__ = ("_after_cr", "_buffer", "_max_event_bytes")

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._buffer = bytearray()
        self._after_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes and return the data of every event they complete.

        Raises:
            ProtocolError: An event is larger than the bound.
        """
        if self._after_cr or b"\r" in chunk:
            chunk = self._with_line_feeds(chunk)
        # Search only what is new, so that an event in a thousand pieces is not scanned a thousand times.
        unsearched = max(len(self._buffer) - 1, 0)
        self._buffer += chunk
        if self._buffer.find(b"\n\n", unsearched) < 0:
            self._check_size(len(self._buffer))
            return []
        *blocks, rest = bytes(self._buffer).split(b"\n\n")
        self._check_size(len(rest))
        self._buffer = bytearray(rest)
        return self._events(blocks)

    def close(self) -> list[bytes]:
        """The stream has ended: return the data of a last event whose blank line is missing, if there is one."""
        block = bytes(self._buffer)
        self._buffer.clear()
        return self._events([block])

    def _with_line_feeds(self, chunk: bytes) -> bytes:
        """Make CRLF and CR line feeds; a CR at a chunk's end counts at once and swallows a LF that follows."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        self._after_cr = self._after_cr or chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _events(self, blocks: list[bytes]) -> list[bytes]:
        events = []
        for block in blocks:
            self._check_size(len(block))
            plain = block.startswith(b"data: ") and b"\n" not in block
            data = block[6:] if plain else _data_of(block)
            if data:
                events.append(data)
        return events

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_event_bytes:
            raise ProtocolError(f"an event of the stream exceeds {self._max_event_bytes} bytes")


def _data_of(block: bytes) -> bytes:
    """The data lines of a block, joined by line feeds; empty when it has none."""
    lines = (line.removeprefix(_BYTE_ORDER_MARK) for line in block.split(b"\n"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
