"""Files, and what is no source at all."""

import hashlib
from pathlib import Path

import pytest

from backends.errors import HashMismatchError, SourceError
from backends.models.sources import fetch

CONTENT = b"GGUF of the user"


def test_a_file_is_used_where_it_lies(tmp_path: Path) -> None:
    model = tmp_path / "my model.gguf"
    model.write_bytes(CONTENT)
    assert fetch(f"file:{model}", into=tmp_path / "into", sha256=hashlib.sha256(CONTENT).hexdigest()) == model


def test_a_wrong_digest_never_deletes_the_file_of_the_user(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(CONTENT)
    with pytest.raises(HashMismatchError):
        fetch(f"file:{model}", into=tmp_path / "into", sha256="0" * 64)
    assert model.read_bytes() == CONTENT


def test_a_digest_for_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="directory"):
        fetch(f"file:{tmp_path}", into=tmp_path / "into", sha256="0" * 64)


@pytest.mark.parametrize("source", ["model.gguf", "ftp://host/model.gguf", "hf:tiny", "file:/nowhere/model.gguf", ""])
def test_what_is_no_source_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(SourceError):
        fetch(source, into=tmp_path)
