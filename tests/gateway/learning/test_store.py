"""Estimators are stored under the hash of their bytes, read only if nothing is wrong, and removed only if unused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from gateway.learning import trainings
from gateway.learning.store import KEPT_PER_KIND, EstimatorStore
from gateway.learning.tables import estimators
from gateway.policyops.store import PolicyStore
from policies.errors import ArtifactError
from policies.estimators.artifact import MAX_BYTES
from tests.fitted import latency_artifact, length_artifact
from tests.learned_state import a_fit


@pytest.fixture
def store(engine: Engine) -> EstimatorStore:
    return EstimatorStore(engine)


def overwrite(engine: Engine, name: str, data: bytes) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(estimators).where(estimators.c.hash == name).values(data=data))


def test_what_was_stored_reads_back_under_its_hash(store: EstimatorStore) -> None:
    name = store.put(latency_artifact("full"))
    assert store.get(name, kind="latency").arrays["ttft"].tolist() == latency_artifact("full").arrays["ttft"].tolist()
    assert store.names() == {name}
    assert store.put(latency_artifact("full")) == name


def test_changed_bytes_are_noticed(store: EstimatorStore, engine: Engine) -> None:
    name = store.put(latency_artifact("full"))
    overwrite(engine, name, b"\x81")
    with pytest.raises(ArtifactError, match="damaged"):
        store.get(name, kind="latency")


def test_one_that_is_too_large_is_not_even_read(store: EstimatorStore, engine: Engine) -> None:
    name = store.put(latency_artifact("full"))
    overwrite(engine, name, bytes(MAX_BYTES + 1))
    with pytest.raises(ArtifactError, match="at most"):
        store.get(name, kind="latency")


@pytest.mark.parametrize("name", ["0" * 32, "../../etc/passwd", "", "reports", "x" * 32])
def test_what_is_not_there_or_is_no_hash_is_refused(store: EstimatorStore, name: str) -> None:
    with pytest.raises(ArtifactError):
        store.get(name, kind="latency")


def test_an_estimator_of_another_kind_is_refused(store: EstimatorStore) -> None:
    name = store.put(length_artifact("full"))
    with pytest.raises(ArtifactError, match="kind"):
        store.get(name, kind="latency")


def test_writers_at_once_leave_one_row(store: EstimatorStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        names = set(pool.map(lambda _: store.put(length_artifact("full", "quantized")), range(8)))
    assert store.names() == names
    assert len(names) == 1


def test_a_store_that_was_never_written_is_empty(store: EstimatorStore) -> None:
    assert store.names() == frozenset()
    assert store.prune() == 0


def test_old_ones_are_removed_kind_by_kind(store: EstimatorStore, engine: Engine) -> None:
    names = in_turn(store, engine, count=KEPT_PER_KIND + 3)
    other = store.put(latency_artifact("full"))
    assert store.prune() == 3
    assert store.names() == {*names[3:], other}


def test_one_that_is_in_force_or_pinned_by_a_policy_stays(store: EstimatorStore, engine: Engine) -> None:
    names = in_turn(store, engine, count=KEPT_PER_KIND + 3)
    trainings.record(engine, a_fit(length=names[0]), publish=True)
    text = f"a document that cannot even be read, with length: {names[1]}"
    PolicyStore(engine).save(name="a", hash_="x", text=text, author="a", reason="r", now_s=1.0)
    assert store.prune() == 1
    assert store.names() == {*names} - {names[2]}


def test_one_that_is_fitted_again_counts_as_new(store: EstimatorStore, engine: Engine) -> None:
    first, *_ = in_turn(store, engine, count=KEPT_PER_KIND + 1)
    assert store.put(length_artifact("full", tokens=10.0)) == first
    assert store.prune() == 1
    assert first in store.names()


def in_turn(store: EstimatorStore, engine: Engine, *, count: int) -> list[str]:
    """Store that many, each a second after the one before it: SQLite's clock counts milliseconds."""
    names = [store.put(length_artifact("full", tokens=float(10 + n))) for n in range(count)]
    with engine.begin() as connection:
        for age_s, name in enumerate(reversed(names), start=1):
            older = sa.update(estimators).where(estimators.c.hash == name)
            connection.execute(older.values(created_at_s=estimators.c.created_at_s - age_s))
    return names
