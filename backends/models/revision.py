"""One build on disk: a directory of files that never change, and the manifest beside them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from backends.errors import BuildError
from backends.models.files import sha256_of, sync, write_atomically
from backends.models.manifest import FileEntry, Format, Manifest

__all__ = ("Build", "check_hashes", "format_of", "list_files", "read_manifest", "revision_of", "write_manifest")

MANIFEST_NAME = "manifest.json"
GGUF_MAGIC = b"GGUF"


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """One revision of one variant."""

    manifest: Manifest
    path: Path
    """Directory of its files."""

    @property
    def reference(self) -> str:
        """`NAME@REVISION`, as lineages name their parents."""
        return f"{self.manifest.name}@{self.manifest.revision}"

    @property
    def gguf(self) -> Path:
        """Its GGUF file, the first one of a split model.

        Raises:
            BuildError: The build is of another format.
        """
        for entry in self.manifest.files:
            if entry.path.endswith(".gguf"):
                return self.path / entry.path
        raise BuildError(f"{self.reference} has no GGUF file")


def list_files(directory: Path) -> tuple[FileEntry, ...]:
    """Hash what a directory holds, in the order of the paths; every file is on the disk afterwards.

    Raises:
        BuildError: It holds nothing.
    """
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
    if not files:
        raise BuildError(f"{directory} holds no files to publish")
    for path in files:
        sync(path)
    return tuple(
        FileEntry(path=path.relative_to(directory).as_posix(), sha256=sha256_of(path), size_bytes=path.stat().st_size)
        for path in files
    )


def revision_of(files: tuple[FileEntry, ...]) -> str:
    """First 12 hex digits of the digest over names and digests: equal builds have equal revisions."""
    listing = "".join(f"{entry.sha256}  {entry.path}\n" for entry in files)
    return hashlib.sha256(listing.encode()).hexdigest()[:12]


def format_of(directory: Path, files: tuple[FileEntry, ...]) -> Format:
    """What the files of a build are.

    Raises:
        BuildError: No weights among them that an engine here can read.
    """
    names = [entry.path for entry in files]
    ggufs = [directory / name for name in names if name.endswith(".gguf")]
    for path in ggufs:
        with path.open("rb") as stream:
            if stream.read(len(GGUF_MAGIC)) != GGUF_MAGIC:
                raise BuildError(f"{path.name} is not a GGUF file")
    if ggufs:
        return "gguf"
    if "config.json" in names and any(name.endswith(".safetensors") for name in names):
        return "safetensors"
    if {"openvino_model.xml", "openvino_model.bin"} <= set(names):
        return "openvino"
    known = "a .gguf file, .safetensors with a config.json, or openvino_model.xml with its .bin"
    raise BuildError(f"no model ({known}) among {', '.join(names)}")


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a build whose files are all there in their full size.

    Raises:
        BuildError: It is missing or damaged, or a file is; the message says which.
    """
    try:
        manifest = msgspec.json.decode((directory / MANIFEST_NAME).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError) as error:
        raise BuildError(f"{directory / MANIFEST_NAME} cannot be read: {error}") from error
    for entry in manifest.files:
        path = directory / entry.path
        if not path.is_file():
            raise BuildError(f"{path} is missing")
        size_bytes = path.stat().st_size
        if size_bytes != entry.size_bytes:
            raise BuildError(f"{path} has {size_bytes} bytes, expected {entry.size_bytes}")
    return manifest


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write or replace the manifest of a build, atomically."""
    write_atomically(directory / MANIFEST_NAME, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def check_hashes(build: Build) -> None:
    """Read every file of a build.

    Raises:
        BuildError: One is not as it was published.
    """
    for entry in build.manifest.files:
        if sha256_of(build.path / entry.path) != entry.sha256:
            raise BuildError(f"{build.path / entry.path} is not the file that was published")
