"""The process's log: one event a line, as text or as JSON, written by a thread so that no request waits for a disk.

Every line that is written while a request is served carries its trace id. What looks like a key is never written.
"""

from __future__ import annotations

import atexit
import logging
import queue
import re
import sys
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import Any, Literal, TextIO

import msgspec

from gateway.telemetry.timeline import CURRENT

__all__ = ("FIELDS", "JsonFormatter", "TextFormatter", "configure_logs", "redacted")

FIELDS = "fields"
"""Attribute of a record that holds a dictionary: what a line says besides its message."""

SECRET = re.compile(r"(?i)\b(tri_|sk-|bearer\s+)[A-Za-z0-9_.~+/=-]{8,}")
"""Keys of ours and of providers, and whatever follows `Bearer`."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


def redacted(text: str) -> str:
    """A text without what looks like a key."""
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


class _Handler(QueueHandler):
    """Hands a record over as a finished line: what it speaks of may have changed when the thread comes to it."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record with its line as the message."""
        line = self.format(record)
        return logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, line, None, None)


def configure_logs(form: Literal["json", "text"], *, stream: TextIO | None = None) -> QueueListener:
    """Send this process's log to a stream, standard error by default; stop the listener to write what is left."""
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    handler = _Handler(lines)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    listener = QueueListener(lines, logging.StreamHandler(stream or sys.stderr))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    listener.start()
    atexit.register(_stop, listener)
    return listener


def _stop(listener: QueueListener) -> None:
    if listener._thread is not None:
        listener.stop()


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    told: dict[str, Any] = getattr(record, FIELDS, {})
    timeline = CURRENT.get()
    if timeline is not None and "trace_id" not in told:
        told = {"trace_id": timeline.trace_id} | told
    return told
