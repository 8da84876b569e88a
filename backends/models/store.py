"""Builds on disk, each variant's under its own name, one of them current.

    <root>/<variant>/<revision>/        files of a build and manifest.json
    <root>/<variant>/current            text file naming the revision that is served
    <root>/.staging/<variant>+XXXX/     a build in the making; on the same filesystem, so that publishing is a rename
    <root>/.work/<variant>/             what a recipe keeps to resume
    <root>/.downloads/                  fetched files, partial ones included
    <root>/.locks/                      `<variant>.build.lock` of whoever builds, `<variant>.lock` of whoever writes

`current` is a text file and no symbolic link so that a copied or mounted store works on any filesystem. It is
replaced atomically once the files it leads to are on the disk: a crash at any moment leaves the old build or the new
one. Readers need no lock.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import filelock
import msgspec

from backends.errors import BuildError
from backends.models.files import disk_full_raises, remove, sync, write_atomically
from backends.models.manifest import BuildStage, Card, Lineage, Manifest, Parameter
from backends.models.revision import (
    Build,
    check_hashes,
    format_of,
    list_files,
    read_manifest,
    revision_of,
    write_manifest,
)
from backends.types import Variant

__all__ = ("Build", "Store")

CURRENT_NAME = "current"


class Store:
    """All builds under one root directory. Cheap to make; keeps no state but the path."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def downloads(self) -> Path:
        """Where fetched files are kept between runs."""
        return self._made(self.root / ".downloads")

    def work(self, name: str) -> Path:
        """Directory for what a recipe keeps to resume."""
        return self._made(self.root / ".work" / name)

    def build(self, name: str) -> Build:
        """The current build of a variant.

        Raises:
            BuildError: There is none that can be used; the message says why.
        """
        while True:
            directory = self.path(name)
            try:
                return Build(manifest=read_manifest(directory), path=directory)
            except BuildError:
                if directory.name == self._current_revision(name):
                    raise
                # Replaced, and even pruned, since its name was read: look at the new one.

    def current(self, name: str) -> Manifest | None:
        """Manifest of the current build; None if there is none that can be used, for the reason `problem` gives."""
        try:
            return self.build(name).manifest
        except BuildError:
            return None

    def problem(self, name: str) -> str | None:
        """Why there is no usable current build, for a person; None if there is one."""
        try:
            self.build(name)
        except BuildError as error:
            return str(error)
        return None

    def path(self, name: str, *, revision: str | None = None) -> Path:
        """Directory of a build, the current one by default.

        Raises:
            BuildError: Nothing is built.
        """
        revision = revision or self._current_revision(name)
        if revision is None:
            raise BuildError(f"{name} is not built")
        return self.root / name / revision

    def verify(self, name: str) -> None:
        """Hash every file of the current build.

        Raises:
            BuildError: One is missing or not as it was published.
        """
        check_hashes(self.build(name))

    @contextmanager
    def lock(self, name: str, *, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
        """Be the only one to build a variant, waiting for whoever does; `on_wait` is called once if so.

        The operating system frees the lock of a process that dies. What a dead builder left in staging is removed.
        """
        lock = self._lock(f"{name}.build")
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            if on_wait is not None:
                on_wait()
            lock.acquire()
        try:
            self._clear_staging(name)
            yield
        finally:
            self._clear_staging(name)
            lock.release()

    def staging(self, name: str) -> Path:
        """A fresh, empty directory for a build in the making. Hold `lock`: it goes when the lock does."""
        with disk_full_raises(f"a build of {name}"):
            return Path(tempfile.mkdtemp(prefix=f"{name}+", dir=self._made(self.root / ".staging")))

    def publish(
        self,
        directory: Path,
        *,
        variant: Variant,
        lineage: Lineage,
        stage: BuildStage = "final",
        licence: str = "",
    ) -> Manifest:
        """Make the files of a staging directory the current build of a variant; the directory is consumed.

        The build that was current stays on the disk for workers that are just starting on it; older ones go. Files
        equal to the current build's keep its card.

        Raises:
            DiskFullError: No room; the previous build stays current.
            BuildError: There is no model in the directory.
        """
        with disk_full_raises(f"a build of {variant.name}"):
            files = list_files(directory)
            manifest = Manifest(
                name=variant.name,
                kind=variant.kind,
                revision=revision_of(files),
                format=format_of(directory, files),
                lineage=lineage,
                files=files,
                created_at_s=time.time(),
                source=variant.source,
                stage=stage,
                licence=licence,
            )
            with self._lock(variant.name):
                return self._install(directory, manifest)

    def seal(self, name: str, *, parameters: Mapping[str, Parameter]) -> Manifest:
        """Declare the current build final and add lineage parameters.

        Raises:
            BuildError: Nothing usable is built.
        """
        with self._lock(name):
            build = self.build(name)
            lineage = build.manifest.lineage
            lineage = msgspec.structs.replace(lineage, parameters={**lineage.parameters, **parameters})
            return _rewrite(build, msgspec.structs.replace(build.manifest, lineage=lineage, stage="final"))

    def write_card(self, name: str, card: Card, *, revision: str) -> Manifest | None:
        """Record what a revision measured. None, and nothing recorded, if it has been replaced meanwhile.

        Raises:
            BuildError: Nothing usable is built.
        """
        with self._lock(name):
            build = self.build(name)
            if build.manifest.revision != revision:
                return None
            return _rewrite(build, msgspec.structs.replace(build.manifest, card=card))

    def _install(self, directory: Path, manifest: Manifest) -> Manifest:
        """Move a complete staging directory into place, then point `current` at it."""
        previous = self.current(manifest.name)
        if previous is not None and previous.revision == manifest.revision:
            remove(directory)
            build = Build(manifest=previous, path=self.path(manifest.name, revision=manifest.revision))
            return _rewrite(build, msgspec.structs.replace(manifest, card=previous.card))
        write_manifest(directory, manifest)
        home = self._made(self.root / manifest.name)
        remove(home / manifest.revision)
        directory.chmod(0o755)
        directory.rename(home / manifest.revision)
        sync(home)
        write_atomically(home / CURRENT_NAME, f"{manifest.revision}\n".encode("ascii"))
        keep = {manifest.revision, previous.revision if previous else None}
        for child in home.iterdir():
            if child.is_dir() and child.name not in keep:
                remove(child)
        return manifest

    def _current_revision(self, name: str) -> str | None:
        try:
            return (self.root / name / CURRENT_NAME).read_text(encoding="ascii").strip() or None
        except (OSError, UnicodeDecodeError):
            return None

    def _clear_staging(self, name: str) -> None:
        for left in (self.root / ".staging").glob(f"{name}+*"):
            remove(left)

    def _lock(self, name: str) -> filelock.BaseFileLock:
        return filelock.FileLock(self._made(self.root / ".locks") / f"{name}.lock")

    def _made(self, directory: Path) -> Path:
        with disk_full_raises(str(directory)):
            directory.mkdir(parents=True, exist_ok=True)
        return directory


def _rewrite(build: Build, manifest: Manifest) -> Manifest:
    with disk_full_raises(f"the manifest of {build.reference}"):
        write_manifest(build.path, manifest)
    return manifest
