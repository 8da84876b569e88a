"""Estimators are stored under the hash of their bytes, whole or not at all, and read only if nothing is wrong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.learning.store import EstimatorStore
from policies.errors import ArtifactError
from tests.fitted import latency_artifact, length_artifact


@pytest.fixture
def store(tmp_path: Path) -> EstimatorStore:
    return EstimatorStore(tmp_path / "estimators")


def test_what_was_stored_reads_back_under_its_hash(store: EstimatorStore) -> None:
    name = store.put(latency_artifact("full"))
    assert store.get(name, kind="latency").arrays["ttft"].tolist() == latency_artifact("full").arrays["ttft"].tolist()
    assert store.names() == {name}
    assert store.put(latency_artifact("full")) == name


def test_a_changed_byte_is_noticed(store: EstimatorStore, tmp_path: Path) -> None:
    name = store.put(latency_artifact("full"))
    file = tmp_path / "estimators" / name
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ArtifactError, match="damaged"):
        store.get(name, kind="latency")


@pytest.mark.parametrize("name", ["0" * 32, "../../etc/passwd", "", "reports", "x" * 32])
def test_what_is_not_there_or_is_no_hash_is_told(store: EstimatorStore, name: str) -> None:
    with pytest.raises(ArtifactError):
        store.get(name, kind="latency")


def test_an_estimator_of_another_kind_is_refused(store: EstimatorStore) -> None:
    name = store.put(length_artifact("full"))
    with pytest.raises(ArtifactError, match="kind"):
        store.get(name, kind="latency")


def test_writers_at_once_leave_one_whole_file(store: EstimatorStore, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(lambda _: store.put(length_artifact("full", "quantized")), range(16)))
    assert store.names() == names
    assert [path.name for path in (tmp_path / "estimators").iterdir()] == list(names)


def test_a_store_that_was_never_written_is_empty(store: EstimatorStore) -> None:
    assert store.names() == frozenset()
