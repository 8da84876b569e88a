"""Versions never change, the history says what is in force, and writers of several processes wait for each other."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from pathlib import Path

import pytest

from gateway.policyops.errors import NoSuchVersionError
from gateway.policyops.store import PolicyStore
from gateway.policyops.types import Action, State
from gateway.policyops.watcher import compile_version
from tests.decision_rows import sqlite_url
from tests.policy_documents import a_document, open_store, published

WRITER = """
import sys
from gateway.decisions.schema import open_engine
from gateway.policyops.store import PolicyStore
from tests.policy_documents import published
store = PolicyStore(open_engine(sys.argv[1]))
for number in range(int(sys.argv[3])):
    published(store, epsilon=float(sys.argv[2]) + number / 100)
"""


def states(store: PolicyStore) -> list[State]:
    return [version.state for version in store.versions()]


def test_an_empty_store_has_nothing_in_force(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        assert (store.active(), store.versions(), store.last_activation()) == (None, [], 0)


def test_what_was_published_last_is_in_force_and_the_rest_is_retired(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        first, second = published(store, epsilon=0.1), published(store, epsilon=0.2)
        assert store.active() == second
        assert (first.version, second.version) == (1, 2)
        assert states(store) == [State.RETIRED, State.PUBLISHED]


def test_a_draft_is_kept_and_not_in_force_until_it_is_published(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        fields = {"name": "p", "hash_": "h0.1", "text": a_document(epsilon=0.1), "author": "trainer", "reason": "r"}
        draft = store.save(**fields, now_s=1.0)
        assert (draft.state, store.active()) == (State.DRAFT, None)
        assert store.save(**fields, now_s=2.0) == draft
        assert published(store, epsilon=0.1).version == draft.version
        assert states(store) == [State.PUBLISHED]


def test_publishing_what_is_in_force_changes_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        assert published(store, epsilon=0.1) == published(store, epsilon=0.1)
        assert len(store.history()) == 1


def test_publishing_an_old_text_again_is_a_new_version(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        for epsilon in (0.1, 0.2, 0.1):
            published(store, epsilon=epsilon)
        assert states(store) == [State.RETIRED, State.RETIRED, State.PUBLISHED]


def test_each_rollback_goes_one_step_further_back_and_is_recorded(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        for epsilon in (0.1, 0.2, 0.3):
            published(store, epsilon=epsilon)
        back = [store.rollback(author="bob", reason="worse", now_s=9.0).version for _ in range(2)]
        assert back == [2, 1]
        with pytest.raises(NoSuchVersionError, match="version 1 is the first"):
            store.rollback(author="bob", reason="worse", now_s=9.0)
        last = store.history()[-1]
        assert (last.version, last.action, last.author, last.reason) == (1, Action.ROLLBACK, "bob", "worse")


def test_a_rollback_to_a_named_version_puts_it_in_force(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        for epsilon in (0.1, 0.2, 0.3):
            published(store, epsilon=epsilon)
        assert store.rollback(1, author="bob", reason="worse", now_s=9.0).state is State.PUBLISHED
        assert states(store) == [State.PUBLISHED, State.RETIRED, State.RETIRED]
        assert [v.version for v in store.lately_active(limit=2)] == [1, 3]


def test_nothing_unpublished_can_be_gone_back_to(tmp_path: Path) -> None:
    with open_store(tmp_path / "db") as store:
        with pytest.raises(NoSuchVersionError, match="nothing was published"):
            store.rollback(author="bob", reason="worse", now_s=9.0)
        store.save(name="p", hash_="h", text=a_document(), author="trainer", reason="r", now_s=1.0)
        with pytest.raises(NoSuchVersionError, match="never in force"):
            store.rollback(1, author="bob", reason="worse", now_s=9.0)
        with pytest.raises(NoSuchVersionError, match="no version 7"):
            store.rollback(7, author="bob", reason="worse", now_s=9.0)
        assert store.history() == []


async def test_two_processes_publishing_at_once_lose_nothing(tmp_path: Path) -> None:
    count, file = 20, tmp_path / "db"
    with open_store(file) as store:
        writers = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", WRITER, sqlite_url(file), start, str(count), stderr=asyncio.subprocess.PIPE
            )
            for start in ("0.1", "0.5")
        ]
        for writer in writers:
            _, errors = await writer.communicate()
            assert writer.returncode == 0, errors.decode()
        history = store.history()
        assert sorted(a.version for a in history) == list(range(1, 2 * count + 1))
        assert [a.activation for a in history] == list(range(1, 2 * count + 1))
        active = store.active()
        assert active is not None
        assert states(store).count(State.PUBLISHED) == 1
        assert active.version == history[-1].version


def test_policies_of_an_earlier_database_are_still_read(tmp_path: Path) -> None:
    golden = Path(__file__).parent.parent / "decisions" / "golden" / "v3.sql"
    with sqlite3.connect(tmp_path / "db") as connection:
        connection.executescript(golden.read_text())
    connection.close()
    with open_store(tmp_path / "db") as store:
        active = store.active()
        assert active is not None
        assert (active.version, active.hash, active.author) == (1, "0123456789ab", "ada")
        assert compile_version(active).hash == "0123456789ab"
        assert [(a.version, a.action) for a in store.history()] == [(1, "publish"), (2, "publish"), (1, "rollback")]


def test_the_store_works_on_every_database(url: str) -> None:
    with open_store(url) as store:
        published(store, epsilon=0.1)
        published(store, epsilon=0.2)
        assert store.rollback(author="bob", reason="worse", now_s=1.0).version == 1
        assert store.last_activation() == 3
