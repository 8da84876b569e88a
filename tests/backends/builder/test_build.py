"""The one way in: what is built is not built again, what fails leaves what was there, two never do the same."""

import hashlib
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from backends.builder.build import RECIPES, build, is_built
from backends.errors import BuildError, DiskFullError, HashMismatchError, SourceError
from backends.models.store import Store
from backends.progress import Progress
from backends.types import Engine, Price, Variant, VariantKind
from tests.file_server import serving_file
from tests.model_helpers import a_variant, publish_bytes

MODEL = b"GGUF" + bytes(range(256)) * 8000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "theirs.gguf"
    path.write_bytes(MODEL)
    return path


def test_a_file_is_kept_as_it_is(store: Store, source: Path) -> None:
    steps: list[Progress] = []
    variant = a_variant(source=f"file:{source}", sha256=hashlib.sha256(MODEL).hexdigest())
    manifest = build(variant, store=store, sink=steps.append)
    assert store.build("small").gguf.read_bytes() == MODEL
    assert manifest.lineage.recipe == "source"
    assert manifest.lineage.parents == (variant.source,)
    assert (steps[-1].stage, steps[-1].message) == ("ready", manifest.revision)


def test_a_checkpoint_directory_is_kept_with_its_subdirectories_and_without_hidden_files(
    store: Store, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint"
    for name in ("config.json", "model.safetensors", "extra/notes.txt", ".git/HEAD"):
        (checkpoint / name).parent.mkdir(parents=True, exist_ok=True)
        (checkpoint / name).write_text(name)
    manifest = build(a_variant(source=f"file:{checkpoint}"), store=store)
    assert [entry.path for entry in manifest.files] == ["config.json", "extra/notes.txt", "model.safetensors"]
    assert manifest.format == "safetensors"


def test_what_is_built_is_not_built_again(store: Store, source: Path) -> None:
    variant = a_variant(source=f"file:{source}")
    manifest = build(variant, store=store)
    source.unlink()
    assert build(variant, store=store) == manifest


def test_another_source_another_digest_or_damage_mean_another_build(store: Store, source: Path) -> None:
    variant = a_variant(source=f"file:{source}")
    build(variant, store=store)
    assert is_built(variant, store=store)
    assert not is_built(msgspec.structs.replace(variant, source="built:q8_0"), store=store)
    assert not is_built(msgspec.structs.replace(variant, sha256="0" * 64), store=store)
    store.build("small").gguf.write_bytes(b"GGUF")
    assert not is_built(variant, store=store)


def test_an_unfinished_build_is_taken_up_again_and_more_minutes_are_more_work(store: Store) -> None:
    variant = a_variant()
    publish_bytes(store, b"one", variant=variant, stage="checkpoint")
    assert not is_built(variant, store=store)
    store.seal("small", parameters={"minutes": 10})
    assert is_built(variant, store=store)
    assert is_built(variant, store=store, minutes=10)
    assert not is_built(variant, store=store, minutes=20)


def test_a_failed_build_says_so_and_leaves_what_was_there(store: Store, source: Path) -> None:
    before = build(a_variant(source=f"file:{source}"), store=store)
    steps: list[Progress] = []
    with pytest.raises(SourceError):
        build(a_variant(source="file:/nowhere/model.gguf"), store=store, sink=steps.append)
    assert store.current("small") == before
    assert steps[-1].stage == "failed"
    assert "/nowhere/model.gguf does not exist" in steps[-1].message


def test_a_wrong_digest_is_refused(store: Store, source: Path) -> None:
    with pytest.raises(HashMismatchError):
        build(a_variant(source=f"file:{source}", sha256="0" * 64), store=store)
    assert store.current("small") is None


def test_an_unknown_recipe_is_refused_and_the_known_ones_are_named(store: Store) -> None:
    with pytest.raises(BuildError, match=", ".join(RECIPES)):
        build(a_variant(source="built:alchemy"), store=store)


def test_a_remote_server_has_nothing_to_build(store: Store) -> None:
    remote = Variant(
        name="remote",
        kind=VariantKind.REMOTE,
        engine=Engine.OPENAI,
        source="http://127.0.0.1:9/v1",
        price=Price(compute_per_hour_usd=1.0),
    )
    with pytest.raises(BuildError, match="remote server"):
        build(remote, store=store)


BUILD = (
    "import resource, sys; from pathlib import Path; from backends.builder.build import build\n"
    "from backends.errors import DiskFullError; from backends.models.store import Store\n"
    "from tests.model_helpers import a_variant\n"
    "if len(sys.argv) > 3: resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)\n"
    "try: print(build(a_variant(source=sys.argv[2]), store=Store(Path(sys.argv[1]))).revision)\n"
    "except DiskFullError: print('full')\n"
)


def building(store: Store, source: str, *limit: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(store.root), source, *limit]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_two_processes_never_fetch_or_build_the_same_thing_twice(store: Store) -> None:
    with serving_file(MODEL) as server:
        processes = [building(store, server.url) for _ in range(3)]
        printed = {process.communicate()[0] for process in processes}
    assert printed == {f"{store.build('small').manifest.revision}\n"}
    assert len(server.seen) == 1


def test_a_disk_that_fills_up_during_a_build_leaves_nothing_but_the_part_to_continue(store: Store) -> None:
    with serving_file(MODEL) as server:
        assert building(store, server.url, "1000000").communicate()[0] == "full\n"
        assert store.problem("small") == "small is not built"
        assert len(list(store.downloads.rglob("*.gguf"))) == 0
        build(a_variant(source=server.url), store=store)
    assert server.seen == [None, "bytes=1000000-"]
    assert store.build("small").gguf.read_bytes() == MODEL


def test_the_entry_imports_no_recipe_and_no_model_library() -> None:
    heavy = ("torch", "transformers", "gguf", "huggingface_hub", "openvino_genai")
    script = f"import backends.builder.build, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_text_in_the_error_of_a_library_is_enough_to_tell_a_full_disk(store: Store, source: Path) -> None:
    from backends.models.files import disk_full_raises

    with pytest.raises(DiskFullError), disk_full_raises("small"):
        raise RuntimeError("I/O error: No space left on device (os error 28)")
