"""Fitted estimators on disk, each in a file named by the hash of its bytes."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from policies.errors import ArtifactError
from policies.estimators.artifact import MAX_BYTES, Artifact, content_hash, decode, encode
from policies.features.layout import VERSION

__all__ = ("EstimatorStore",)

_HASH = re.compile(r"[0-9a-f]{32}")


class EstimatorStore:
    """A directory of artifacts; what is in it never changes. Any number of processes may use it at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, artifact: Artifact) -> str:
        """Store an artifact; returns its hash. One that is there already is left as it is.

        Raises:
            ArtifactError: It is too large.
            OSError: The disk is full, or the directory cannot be written.
        """
        data = encode(artifact)
        name = content_hash(data)
        if not (self._directory / name).exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            handle, staging = tempfile.mkstemp(dir=self._directory, prefix=".staging-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                    os.fchmod(file.fileno(), 0o644)
                Path(staging).replace(self._directory / name)
            except BaseException:
                Path(staging).unlink(missing_ok=True)
                raise
        return name

    def get(self, name: str, *, kind: str) -> Artifact:
        """Read an artifact and check it.

        Raises:
            ArtifactError: There is none of this hash, or it is damaged, of another kind or for another layout.
        """
        if not _HASH.fullmatch(name):
            raise ArtifactError(f"`{name}` is no hash of an estimator")
        try:
            with (self._directory / name).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise ArtifactError(f"estimator {name} cannot be read: {error.strerror}") from None
        if content_hash(data) != name:
            raise ArtifactError(f"estimator {name} is damaged: its content has another hash")
        return decode(data, kind=kind, layout=VERSION)

    def names(self) -> frozenset[str]:
        """Hashes of all that is stored."""
        if not self._directory.is_dir():
            return frozenset()
        return frozenset(path.name for path in self._directory.iterdir() if _HASH.fullmatch(path.name))
