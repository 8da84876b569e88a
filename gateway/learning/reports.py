"""Reports of trainings on disk, each as JSON and as Markdown, named by when it was made."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from policies.training.report import Report, markdown

__all__ = ("last_report", "write_report")


def write_report(directory: Path, report: Report) -> Path:
    """Write a report down; returns its JSON file."""
    directory.mkdir(parents=True, exist_ok=True)
    when = datetime.fromtimestamp(report.created_at_s, UTC).strftime("%Y%m%dT%H%M%S")
    file = directory / f"{when}.json"
    file.with_suffix(".md").write_text(markdown(report), encoding="utf-8")
    staging = file.with_suffix(".part")
    staging.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    staging.replace(file)
    return file


def last_report(directory: Path) -> Report | None:
    """The latest report that can be read, or None."""
    for file in sorted(directory.glob("*.json"), reverse=True):
        try:
            return msgspec.json.decode(file.read_bytes(), type=Report)
        except (OSError, msgspec.MsgspecError):
            continue
    return None
