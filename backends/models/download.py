"""`http(s)://` sources: one file, resumed where the server can, verified at the end."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from backends.errors import OfflineError, SourceError
from backends.models.files import CHUNK_BYTES, is_disk_full
from backends.models.target import Target

__all__ = ("fetch_url",)

TIMEOUT_S = 30.0
"""Longest silence of the server."""
FRUITLESS_ATTEMPTS = 5
"""Attempts in a row that may bring nothing new before giving up."""


def fetch_url(url: str, *, target: Target, pause: Callable[[float], None] = time.sleep) -> Path:
    """Download a file, continuing what an earlier attempt or an earlier run left in `NAME.part`.

    A part is continued only if the server confirms by its validator (entity tag or modification date) that the file
    has not changed, and started afresh otherwise.

    Args:
        url: The file.
        target: Where to.
        pause: Waits between attempts, given seconds.

    Raises:
        OfflineError: The server could not be reached, or kept failing.
        SourceError: It refused.
        HashMismatchError: Another file came; it was deleted.
    """
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name or "model"
    if (path := target.have(name)) is not None:
        return path
    part = target.folder / f"{name}.part"
    fruitless = 0
    while True:
        before = _size(part)
        try:
            _attempt(url, part=part, target=target)
            break
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    part.unlink(missing_ok=True)
                elif error.code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                    raise SourceError(f"{url} answered {error.code} {error.reason}") from error
            reason = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            if is_disk_full(error):
                raise
            reason = str(error) or type(error).__name__
        fruitless = 0 if _size(part) > before else fruitless + 1
        if fruitless >= FRUITLESS_ATTEMPTS:
            raise OfflineError(f"{url} could not be fetched: {reason}")
        pause(0.5 * 2**fruitless)
    _validator_file(part).unlink(missing_ok=True)
    return target.accept(part, name=name)


def _attempt(url: str, *, part: Path, target: Target) -> None:
    """One request, appended to the part or replacing it. Raises ConnectionError when cut short."""
    have, validator = _size(part), _read_validator(part)
    headers = {"Accept-Encoding": "identity"}
    if have and validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310  only http(s) sources come here
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0
            _write_validator(part, response.headers)
        length = response.headers.get("Content-Length")
        expected = None if length is None else have + int(length)
        meter = target.meter(part.stem, total_bytes=expected)
        with part.open("ab" if have else "wb") as stream:
            while chunk := response.read(CHUNK_BYTES):
                stream.write(chunk)
                have += len(chunk)
                meter.at(have)
    if expected is not None and have < expected:
        raise ConnectionError(f"cut after {have} of {expected} bytes")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _validator_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")


def _read_validator(part: Path) -> str:
    path = _validator_file(part)
    return path.read_text(encoding="latin-1") if path.exists() else ""


def _write_validator(part: Path, headers: http.client.HTTPMessage) -> None:
    """Keep what identifies this version of the file; a weak entity tag does not, byte for byte."""
    part.unlink(missing_ok=True)
    tag = headers.get("ETag", "")
    validator = headers.get("Last-Modified", "") if not tag or tag.startswith("W/") else tag
    _validator_file(part).write_text(validator, encoding="latin-1")
