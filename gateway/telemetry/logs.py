"""The process's log: one event a line, as text or as JSON, written by a thread so that no request waits for a disk.

Every line that is written while a request is served carries its trace id. What looks like a key is never written.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import threading
from collections import deque
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec

from gateway.telemetry.timeline import CURRENT

__all__ = ("FIELDS", "JsonFormatter", "TextFormatter", "configure_logs", "redacted")

FIELDS = "fields"
"""Attribute of a record that holds a dictionary: what a line says besides its message."""

SECRET = re.compile(r"(?i)\b(tri_|sk-|bearer\s+)[A-Za-z0-9_.~+/=-]{8,}")
"""Keys of ours and of providers, and whatever follows `Bearer`."""

MARKS = ("tri_", "sk-", "bearer")
"""One of them is in every text in which there is a secret; to look for these takes a tenth of the time."""

MAX_WAITING = 50_000
"""Lines that may wait to be written; should nobody take them, the oldest are lost."""

EVERY_S = 0.1
"""A killed process loses lines of so long a time at most; those that tell of trouble are written at once."""

LAST_WORDS_S = 2.0

_encode = msgspec.json.Encoder(enc_hook=str).encode


def redacted(text: str) -> str:
    """A text without what looks like a key."""
    lowered = text.lower()
    if not any(mark in lowered for mark in MARKS):
        return text
    return SECRET.sub(lambda found: f"{found[1]}[redacted]", text)


class TextFormatter(logging.Formatter):
    """`time LEVEL logger: message name=value …`."""

    def format(self, record: logging.LogRecord) -> str:
        """One event; a traceback follows on lines of its own."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        told = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{moment} {record.levelname} {record.name}: {record.getMessage()}{' ' if told else ''}{told}"
        return redacted(f"{line}\n{self._trace(record)}" if record.exc_info else line)

    def _trace(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class JsonFormatter(TextFormatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """One event, its traceback included."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            told["exception"] = self._trace(record)
        return redacted(_encode(told).decode())


class _Lines(logging.Handler):
    """Hands finished lines to a thread: what a record speaks of may have changed when it comes to be written."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self._wake, self._ending = threading.Event(), False
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; one that tells of trouble is written at once, the others together."""
        self._waiting.append(self.format(record))
        if record.levelno >= logging.WARNING:
            self._wake.set()

    def close(self) -> None:
        """Write what is left, and end."""
        self._ending = True
        self._wake.set()
        self._thread.join(timeout=LAST_WORDS_S)
        super().close()

    def _write(self) -> None:
        while not (self._ending and not self._waiting):
            self._wake.wait(EVERY_S)
            self._wake.clear()
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if lines:
                with contextlib.suppress(OSError, ValueError):  # Nobody reads on: there is nowhere to tell it.
                    self._stream.write("".join(f"{line}\n" for line in lines))
                    self._stream.flush()


def configure_logs(
    form: Literal["json", "text"], *, stream: TextIO | None = None, level: int = logging.INFO
) -> logging.Handler:
    """Send this process's log to a stream, standard error by default; closing the handler writes what is left."""
    handler = _Lines(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    # What no line of ours tells need not be found out for each: a fifth of a line's time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return handler


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    told: dict[str, Any] = getattr(record, FIELDS, {})
    timeline = CURRENT.get()
    if timeline is not None and "trace_id" not in told:
        told = {"trace_id": timeline.trace_id} | told
    return told
