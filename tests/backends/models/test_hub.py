"""Hub sources, through the hub's own client: a cache as earlier downloads leave it, and a hub on loopback."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backends.errors import HashMismatchError, OfflineError, SourceError
from backends.models.sources import fetch
from backends.progress import Progress

constants = pytest.importorskip("huggingface_hub.constants")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONTENT = b"GGUF of the hub" * 100_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no way out."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


@pytest.fixture
def filled(cache: Path) -> Path:
    """The cache after a download of `acme/tiny`."""
    repository = cache / "models--acme--tiny"
    snapshot = repository / "snapshots" / COMMIT
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    for name, content in {"config.json": b"{}", "model.safetensors": b"weights", "tiny.gguf": CONTENT}.items():
        blob = repository / "blobs" / hashlib.sha256(content).hexdigest()
        blob.write_bytes(content)
        (snapshot / name).symlink_to(blob)
    return cache


class Hub(BaseHTTPRequestHandler):
    """The two requests by which a file is downloaded."""

    def do_HEAD(self) -> None:
        if self.path != "/acme/tiny/resolve/main/tiny.gguf":
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.send_header("ETag", f'"{SHA256}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(CONTENT)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that serves one file, and a client that may ask it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        point_at(f"http://127.0.0.1:{server.server_port}", monkeypatch)
        yield
        server.shutdown()
        thread.join()


def point_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


def test_a_file_is_downloaded_with_progress_and_then_served_from_the_cache(
    hub: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[Progress] = []
    path = fetch("hf:acme/tiny/tiny.gguf", into=tmp_path, sha256=SHA256, sink=steps.append, variant="small")
    assert path.read_bytes() == CONTENT
    assert steps[-1].done == 1.0
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch("hf:acme/tiny/tiny.gguf", into=tmp_path) == path


def test_a_file_that_the_hub_does_not_have_is_a_source_error(hub: None, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="absent"):
        fetch("hf:acme/tiny/absent.gguf", into=tmp_path)


def test_a_hub_that_cannot_be_reached_is_not_needed_for_what_is_cached(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at("http://127.0.0.1:9", monkeypatch)
    assert fetch("hf:acme/tiny/tiny.gguf", into=tmp_path, sha256=SHA256).read_bytes() == CONTENT


def test_a_pinned_revision_is_looked_up_as_such(filled: Path, tmp_path: Path) -> None:
    assert fetch(f"hf:acme/tiny@{COMMIT}/tiny.gguf", into=tmp_path).read_bytes() == CONTENT
    with pytest.raises(OfflineError):
        fetch(f"hf:acme/tiny@{COMMIT[::-1]}/tiny.gguf", into=tmp_path)


def test_a_whole_repository_comes_out_of_the_cache_when_offline(filled: Path, tmp_path: Path) -> None:
    directory = fetch("hf:acme/tiny", into=tmp_path)
    assert (directory / "model.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize("source", ["hf:acme/tiny/absent.gguf", "hf:acme/absent", "hf:acme/absent/tiny.gguf"])
def test_what_is_not_cached_is_an_offline_error_when_offline(filled: Path, tmp_path: Path, source: str) -> None:
    with pytest.raises(OfflineError, match=source):
        fetch(source, into=tmp_path)


def test_a_wrong_digest_is_refused_and_the_cache_is_left_alone(filled: Path, tmp_path: Path) -> None:
    with pytest.raises(HashMismatchError):
        fetch("hf:acme/tiny/tiny.gguf", into=tmp_path, sha256="0" * 64)
    assert fetch("hf:acme/tiny/tiny.gguf", into=tmp_path).read_bytes() == CONTENT
