"""The store: what is current is whole, what is published replaces it at once, what fails leaves it alone."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.errors import BuildError
from backends.models.manifest import Card, FileEntry, Machine
from backends.models.revision import revision_of
from backends.models.store import Store
from tests.model_helpers import a_variant, publish_bytes

CARD = Card(
    machine=Machine(fingerprint="ab", cpu="x86", cores=2, memory_bytes=1, system="Linux"),
    measured_at_s=1.0,
    ttft_s=0.1,
    tpot_s=0.01,
    prompt_tokens=60,
    prefill_tokens_per_s=900.0,
    batch_tokens_per_s=200.0,
    cold_start_s=5.0,
    resident_bytes=1,
    quality=0.5,
    quality_se=0.1,
    tasks={},
    completion_tokens=10.0,
    task_set="checkable-1",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


def test_what_was_published_is_current_with_its_files(store: Store) -> None:
    manifest = publish_bytes(store, b"one", licence="Apache-2.0")
    assert store.current("small") == manifest
    assert (manifest.format, manifest.stage, manifest.licence) == ("gguf", "final", "Apache-2.0")
    build = store.build("small")
    assert build.gguf.read_bytes() == b"GGUFone"
    assert build.reference == f"small@{manifest.revision}"
    store.verify("small")


def test_nothing_is_current_before_the_first_build_and_the_reason_is_given(store: Store) -> None:
    assert store.current("small") is None
    assert store.problem("small") == "small is not built"


def test_a_new_build_replaces_the_current_one_and_only_the_previous_one_is_kept(store: Store) -> None:
    revisions = [publish_bytes(store, content).revision for content in (b"one", b"two", b"three")]
    assert store.path("small").name == revisions[2]
    assert {child.name for child in (store.root / "small").iterdir() if child.is_dir()} == set(revisions[1:])


def test_a_reader_finds_a_whole_build_at_any_moment_of_a_replacement(store: Store) -> None:
    publish_bytes(store, b"first")
    problems: list[str | None] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            problems.append(store.problem("small"))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(40):
        publish_bytes(store, b"%d" % number)
    done.set()
    reader.join()
    assert len(problems) > 40
    assert set(problems) == {None}


@pytest.mark.parametrize("damage", ["truncated", "missing", "manifest", "pointer"])
def test_a_damaged_build_counts_as_absent_and_can_be_published_again(store: Store, damage: str) -> None:
    build = (publish_bytes(store, b"one"), store.build("small"))[1]
    damaged, reason = {
        "truncated": (build.gguf, "has 3 bytes, expected 7"),
        "missing": (build.gguf, "is missing"),
        "manifest": (build.path / "manifest.json", "cannot be read"),
        "pointer": (store.root / "small" / "current", "is not built"),
    }[damage]
    damaged.unlink() if damage == "missing" else damaged.write_bytes(b"" if damage == "pointer" else b"{]}")
    assert store.current("small") is None
    assert reason in str(store.problem("small"))
    assert publish_bytes(store, b"one") == store.current("small")


def test_verifying_reads_every_byte(store: Store) -> None:
    publish_bytes(store, b"one")
    store.build("small").gguf.write_bytes(b"GGUFtwo")
    assert store.problem("small") is None
    with pytest.raises(BuildError, match=r"model\.gguf is not the file"):
        store.verify("small")


@pytest.mark.parametrize("files", [{}, {"notes.txt": b"no weights"}, {"model.gguf": b"<html>"}])
def test_what_is_no_model_is_never_published(store: Store, files: dict[str, bytes]) -> None:
    before = publish_bytes(store, b"one")
    directory = store.staging("small")
    for name, content in files.items():
        (directory / name).write_bytes(content)
    with pytest.raises(BuildError):
        store.publish(directory, variant=a_variant(), lineage=before.lineage)
    assert store.current("small") == before


def test_a_card_stays_with_equal_files_and_goes_with_other_ones(store: Store) -> None:
    revision = publish_bytes(store, b"one", stage="checkpoint").revision
    store.write_card("small", CARD, revision=revision)
    assert publish_bytes(store, b"one").card == CARD
    assert publish_bytes(store, b"two").card is None


def test_a_card_of_a_replaced_build_is_not_recorded(store: Store) -> None:
    revision = publish_bytes(store, b"one").revision
    publish_bytes(store, b"two")
    assert store.write_card("small", CARD, revision=revision) is None
    assert store.build("small").manifest.card is None


def test_sealing_makes_a_checkpoint_final_and_adds_what_was_learned(store: Store) -> None:
    revision = publish_bytes(store, b"one", stage="checkpoint").revision
    store.write_card("small", CARD, revision=revision)
    sealed = store.seal("small", parameters={"minutes": 15})
    assert sealed == store.current("small")
    assert (sealed.stage, sealed.lineage.parameters, sealed.card) == ("final", {"minutes": 15}, CARD)


def test_a_killed_builder_frees_its_lock_and_its_half_build_is_removed(store: Store) -> None:
    script = (
        "import sys, time; from pathlib import Path; from backends.models.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.lock('small'):\n"
        "    (store.staging('small') / 'half').write_bytes(b'GGUF')\n"
        "    print('ready', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(store.root)], stdout=subprocess.PIPE) as builder:
        assert builder.stdout is not None
        assert builder.stdout.readline() == b"ready\n"
        assert len(list((store.root / ".staging").iterdir())) == 1
        os.kill(builder.pid, signal.SIGKILL)
    with store.lock("small"):
        assert list((store.root / ".staging").iterdir()) == []


def test_a_file_too_large_for_the_disk_is_a_disk_full_error_and_leaves_the_old_build(store: Store) -> None:
    before = publish_bytes(store, b"one")
    script = (
        "import resource, sys; from pathlib import Path; from backends.models.store import Store\n"
        "from backends.errors import DiskFullError; from tests.model_helpers import publish_bytes\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64)); store = Store(Path(sys.argv[1]))\n"
        "with store.lock('small'):\n"
        "    try: publish_bytes(store, b'two')\n"
        "    except DiskFullError: sys.exit(7)\n"
    )
    builder = subprocess.run([sys.executable, "-c", script, str(store.root)], check=False)
    assert builder.returncode == 7
    assert store.current("small") == before
    assert list((store.root / ".staging").iterdir()) == []


def test_a_really_full_disk_leaves_the_old_build_and_no_half_one(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from backends.models.store import Store\n"
        "from backends.errors import DiskFullError; from tests.model_helpers import publish_bytes\n"
        "store = Store(Path(sys.argv[1])); before = publish_bytes(store, b'one')\n"
        "from backends.models.files import disk_full_raises\n"
        "try:\n"
        "    with store.lock('small'), disk_full_raises('small'): publish_bytes(store, bytes(2_000_000))\n"
        "except DiskFullError: pass\n"
        "else: sys.exit('fitted')\n"
        "store.verify('small')\n"
        "assert store.current('small') == before\n"
        "assert list((store.root / '.staging').iterdir()) == []\n"
        "print('held')\n"
    )
    mount = f'mount -t tmpfs -o size=1m tmpfs "{tmp_path}" && exec "$@"'
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets nobody mount a small disk")
    builder = subprocess.run(
        [*inside, sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert builder.stdout == "held\n", builder.stderr


names = st.text("abc/._", min_size=1, max_size=8)
digests = st.text("0123456789abcdef", min_size=64, max_size=64)
entries = st.dictionaries(names, digests, min_size=1, max_size=4).map(
    lambda files: tuple(FileEntry(path=path, sha256=sha256, size_bytes=1) for path, sha256 in sorted(files.items()))
)


@given(entries, entries)
def test_builds_have_the_same_revision_exactly_when_they_have_the_same_files(
    one: tuple[FileEntry, ...], other: tuple[FileEntry, ...]
) -> None:
    assert (revision_of(one) == revision_of(other)) == (one == other)
