"""Every documented route, with bodies and parameters made from its own schema and against it: never a 5xx."""

from __future__ import annotations

from collections import Counter

import hypothesis
import pytest
import schemathesis
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation

from gateway.tenants.keys import KeyTerms
from gateway.tenants.types import Role, Tenant
from tests.chaos_tools import until_true
from tests.decision_rows import sqlite_url
from tests.serving import Gateway
from tests.tenancy import ALICE, bearer, opened_store

EXAMPLES = 40
pytestmark = [pytest.mark.timeout(170), pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> str:
    """An administrator's, so that nothing is refused before it was looked at."""
    with opened_store(sqlite_url(gateway.var / "trilemma.db")) as store:
        _, key = store.add(Tenant(id="fuzz"), author=ALICE, key=KeyTerms(role=Role.ADMIN))
    assert key is not None
    until_true(lambda: gateway.get("/v1/models").get("error") is not None, within_s=5)
    return key.text


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_of_the_schema_or_against_it_is_a_server_error(
    gateway: Gateway, key: str, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
    seen: Counter[str] = Counter()
    for found in schema.get_all_operations():
        fuzz(found.ok(), key, mode, seen)
    assert seen["2xx" if mode is GenerationMode.POSITIVE else "4xx"] > 50, "it is what it is meant to be"
    assert gateway.get("/livez") == {"status": "ok"}


def fuzz(operation: APIOperation, key: str, mode: GenerationMode, seen: Counter[str]) -> None:
    @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case) -> None:
        answer = case.call(headers=bearer(key))
        seen[f"{answer.status_code // 100}xx"] += 1
        assert answer.status_code < 500, f"{case.as_curl_command()}\n{answer.text}"
        assert answer.headers["x-request-id"]

    try:
        run()
    except hypothesis.errors.Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "there is nothing about it that could be wrong"
