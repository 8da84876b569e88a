"""URL sources: whole, resumed, restarted or refused, never a wrong file under the right name."""

import hashlib
import random
import socket
from pathlib import Path

import pytest

from backends.errors import HashMismatchError, OfflineError, SourceError
from backends.models.download import FRUITLESS_ATTEMPTS, fetch_url
from backends.models.target import Target
from backends.progress import Progress, silent
from tests.file_server import serving_file

CONTENT = random.Random(5).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def target(folder: Path, *, sha256: str | None = SHA256, steps: list[Progress] | None = None) -> Target:
    return Target(folder=folder, sha256=sha256, sink=silent if steps is None else steps.append, variant="small")


def no_pause(_: float) -> None:
    """Tests do not wait."""


def test_a_connection_cut_midway_is_continued_where_it_broke(tmp_path: Path) -> None:
    with serving_file(CONTENT, cuts=[1_000_000, 500_000]) as server:
        path = fetch_url(server.url, target=target(tmp_path), pause=no_pause)
    assert path.read_bytes() == CONTENT
    assert server.seen == [None, "bytes=1000000-", "bytes=1500000-"]
    assert [child.name for child in tmp_path.iterdir()] == ["some model.gguf"]


def test_a_server_without_ranges_is_asked_for_the_whole_file_again(tmp_path: Path) -> None:
    with serving_file(CONTENT, cuts=[1_000_000], ranges=False) as server:
        path = fetch_url(server.url, target=target(tmp_path), pause=no_pause)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_a_part_that_the_server_cannot_vouch_for_is_not_continued(tmp_path: Path, etag: str) -> None:
    with serving_file(CONTENT, cuts=[1_000_000], etag=etag) as server:
        path = fetch_url(server.url, target=target(tmp_path), pause=no_pause)
    assert path.read_bytes() == CONTENT
    assert server.seen == [None, None]


def test_what_an_earlier_run_left_is_continued(tmp_path: Path) -> None:
    with serving_file(CONTENT, cuts=[2_000_000]) as server:

        def killed(_: float) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fetch_url(server.url, target=target(tmp_path), pause=killed)
        path = fetch_url(server.url, target=target(tmp_path), pause=no_pause)
    assert path.read_bytes() == CONTENT
    assert server.seen[1] == "bytes=2000000-"


def test_a_file_that_changed_between_two_attempts_is_never_mixed(tmp_path: Path) -> None:
    with serving_file(b"old" * 1_000_000, cuts=[1_000_000]) as server:

        def replace_file(_: float) -> None:
            server.content, server.etag = CONTENT, '"two"'

        path = fetch_url(server.url, target=target(tmp_path), pause=replace_file)
    assert path.read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "some model.gguf.part").write_bytes(CONTENT + b"more")
    (tmp_path / "some model.gguf.part.validator").write_text('"one"')
    with serving_file(CONTENT) as server:
        path = fetch_url(server.url, target=target(tmp_path), pause=no_pause)
    assert path.read_bytes() == CONTENT


def test_another_file_than_promised_is_refused_and_deleted(tmp_path: Path) -> None:
    with serving_file(b"something else") as server, pytest.raises(HashMismatchError, match=SHA256):
        fetch_url(server.url, target=target(tmp_path), pause=no_pause)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    with serving_file(CONTENT) as server:
        first = fetch_url(server.url, target=target(tmp_path), pause=no_pause)
        assert fetch_url(server.url, target=target(tmp_path), pause=no_pause) == first
    assert len(server.seen) == 1


def test_a_kept_file_that_went_bad_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "some model.gguf").write_bytes(CONTENT[:-1] + b"x")
    with serving_file(CONTENT) as server:
        path = fetch_url(server.url, target=target(tmp_path), pause=no_pause)
    assert path.read_bytes() == CONTENT


def test_a_refusal_is_final_and_a_server_error_is_tried_again(tmp_path: Path) -> None:
    with serving_file(CONTENT, failures=[503, 500]) as server:
        assert fetch_url(server.url, target=target(tmp_path), pause=no_pause).read_bytes() == CONTENT
    with serving_file(CONTENT, failures=[404]) as server, pytest.raises(SourceError, match="404"):
        fetch_url(server.url, target=target(tmp_path / "other"), pause=no_pause)
    assert len(server.seen) == 1


def test_a_server_that_cannot_be_reached_is_given_up_after_growing_pauses(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        pauses: list[float] = []
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/model.gguf"
        with pytest.raises(OfflineError, match="refused"):
            fetch_url(url, target=target(tmp_path), pause=pauses.append)
    assert len(pauses) == FRUITLESS_ATTEMPTS - 1
    assert pauses == sorted(pauses)


def test_progress_ends_at_the_whole_file(tmp_path: Path) -> None:
    steps: list[Progress] = []
    with serving_file(CONTENT, cuts=[1_500_000]) as server:
        fetch_url(server.url, target=target(tmp_path, steps=steps), pause=no_pause)
    shares = [step.done for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert {(step.variant, step.stage) for step in steps} == {("small", "fetch")}
