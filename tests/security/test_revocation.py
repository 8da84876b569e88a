"""Two replicas over one database: a key that is revoked at one is refused by both within the stated time."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway.tenants.keys import KeyTerms
from gateway.tenants.types import Role, Tenant
from tests.chaos_tools import background, config_over
from tests.decision_rows import sqlite_url
from tests.providers import Answer, completion_body
from tests.serving import Gateway, serving
from tests.tenancy import ALICE, bearer, opened_store

pytestmark = pytest.mark.timeout(90)

IN_FORCE_WITHIN_S = 5.0


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[Gateway]]:
    more = f"store: {{database_url: '{sqlite_url(tmp_path / 'shared.db')}'}}"
    with background(Answer(body=completion_body("fine"))) as provider, ExitStack() as stack:
        config = config_over(provider, more=more)
        yield [
            stack.enter_context(serving(tmp_path / "no-models", tmp_path / name, config=config))
            for name in ("one", "other")
        ]


def test_a_key_is_in_force_and_revoked_everywhere_within_five_seconds(
    replicas: list[Gateway], tmp_path: Path
) -> None:
    assert [status(replica, "none") for replica in replicas] == [200, 200], "no tenant yet, so no key either"
    with opened_store(sqlite_url(tmp_path / "shared.db")) as store:
        _, admin = store.add(Tenant(id="law"), author=ALICE, key=KeyTerms(role=Role.ADMIN))
        assert admin is not None
        within(
            [(replica, admin.text, 200) for replica in replicas] + [(replica, "none", 401) for replica in replicas]
        )
        key = store.keys.add("law", KeyTerms(), author=ALICE)
    within([(replica, key.text, 200) for replica in replicas])
    assert delete(replicas[0], f"/admin/v1/keys/{key.record.key_id}", admin.text) == 200
    assert status(replicas[0], key.text) == 401, "at once, where it was revoked"
    within([(replica, key.text, 401) for replica in replicas])
    assert status(replicas[1], admin.text) == 200, "and no other key is"


def within(expected: list[tuple[Gateway, str, int]]) -> None:
    deadline_s = time.monotonic() + IN_FORCE_WITHIN_S
    while [status(replica, key) for replica, key, _ in expected] != [code for *_, code in expected]:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def status(gateway: Gateway, key: str) -> int:
    return _sent(urllib.request.Request(f"{gateway.url}/v1/models", headers=bearer(key)))


def delete(gateway: Gateway, path: str, key: str) -> int:
    return _sent(urllib.request.Request(f"{gateway.url}{path}", headers=bearer(key), method="DELETE"))


def _sent(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
