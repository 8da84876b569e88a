"""A database that keeps silent holds nobody up: who needs it is told so in time, and who does not is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from gateway.api import database, sla
from gateway.tenants.types import Role
from tests.gateways import HELLO, RunningGateway, behind
from tests.providers import Answer, completion_body
from tests.tenancy import bearer, with_tenant

TABLES = "decisions, observations, policy_versions, policy_activations, tenants, tenant_keys, tenant_changes"
WAITING = (
    ("GET", "/v1/decisions/dec_0", b""),
    ("POST", "/v1/feedback", b'{"decision_id": "dec_0", "score": 1}'),
    ("GET", "/v1/sla", b""),
    ("GET", "/admin/v1/tenants", b""),
    ("POST", "/admin/v1/tenants", b'{"id": "law"}'),
    ("GET", "/admin/v1/policies", b""),
    ("POST", "/admin/v1/policies/rollback", b'{"reason": "x"}'),
)


@contextmanager
def silent(url: str) -> Iterator[None]:
    """Somebody else's transaction holds all tables, so that every query waits."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as other:
        other.execute(sa.text(f"LOCK TABLE {TABLES} IN ACCESS EXCLUSIVE MODE"))
        yield
    engine.dispose()


async def status(gateway: RunningGateway, key: str, method: str, path: str, body: bytes) -> int:
    async with gateway.session.request(method, f"{gateway.url}{path}", headers=bearer(key), data=body) as response:
        if response.status == 503:
            assert response.headers["Retry-After"]
        return response.status


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_who_waits_for_a_silent_database_is_told_and_callers_are_answered(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PATIENCE_S", 0.3)
    monkeypatch.setattr(sla, "REPORT_PATIENCE_S", 0.3)
    async with behind(tmp_path, Answer(body=completion_body("Paris")), store={"database_url": url}) as (gateway, _):
        key = (await with_tenant(gateway, "ops", role=Role.ADMIN)).text
        with silent(url):
            async with asyncio.timeout(5):
                told = await asyncio.gather(*(status(gateway, key, *asked) for asked in WAITING))
                response, _ = await gateway.post("/v1/chat/completions", HELLO, **bearer(key))
        assert told == [503] * len(WAITING)
        assert response.status == 200
        path = f"/v1/decisions/{response.headers['X-Trilemma-Decision']}"
        assert await status(gateway, key, "GET", path, b"") == 200
