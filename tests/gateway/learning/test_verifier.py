"""What a request's checks cost before a variant is asked, and where that is paid."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import re2

from gateway.tenants.types import Quotas
from tests.gateways import HELLO, RunningGateway, behind
from tests.providers import Answer, completion_body
from tests.tenancy import bearer, with_tenant

PARIS = Answer(body=completion_body('{"city": "Paris"}'))
WIDE = "(?i)" + "[\u0100-\U0010ffff]" * 100
"""A second and more of Python's `re.compile`; of 512 characters at most, as every pattern."""

DEEP = {"properties": {f"p{number}": {"pattern": "(?i)" + "[\u0100-\U0010ffff]" * 20} for number in range(3)}}
BRANCHING = {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(40)} | {"a40": False}
CHECKS = [{"type": "regex", "pattern": WIDE[:-6] + f"[{chr(97 + n)}]", "name": f"wide{n}"} for n in range(7)]
CHECKS.append({"type": "json_schema", "schema": DEEP})
FORM = {"type": "json_schema", "json_schema": {"name": "f", "schema": {"properties": {"a": {"pattern": WIDE}}}}}


async def asked(gateway: RunningGateway, headers: dict[str, str] | None = None, **fields: Any) -> tuple[int, Any]:
    url = f"{gateway.url}/v1/chat/completions"
    async with gateway.session.post(url, json=HELLO | fields, headers=headers or {}) as reply:
        return reply.status, json.loads(await reply.read())


async def test_what_a_caller_sends_is_compiled_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight such patterns in a 6.7 KB request held the event loop for 9 to 15 s; they all do their work elsewhere."""
    compiled: list[object] = []

    def spy(owner: Any, name: str) -> None:
        plain = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args, **options: compiled.append(args[0]) or plain(*args, **options))

    async with behind(tmp_path, PARIS) as (gateway, [provider]):
        for owner, name in ((re, "compile"), (re, "search"), (re2, "compile"), (re2, "search")):
            spy(owner, name)
        spy(jsonschema_rs, "Draft202012Validator")
        status, answer = await asked(gateway, checks=CHECKS, response_format=FORM)
        assert status == 200, answer
    assert len(provider.requests) == 1
    callers = [check.get("pattern") or check.get("schema") for check in CHECKS]
    callers.append(FORM["json_schema"]["schema"])  # type: ignore[index]
    assert [found for found in compiled if found in callers] == []


@pytest.mark.parametrize(
    ("check", "param", "told"),
    [
        ({"type": "regex", "pattern": "(a"}, "checks[1].pattern", "`pattern` is no regular expression: missing )"),
        ({"type": "regex", "pattern": r"(?<!a)b"}, "checks[1].pattern", "no look-around and no backreferences"),
        ({"type": "regex", "pattern": r"(a)\1"}, "checks[1].pattern", "RE2's syntax"),
        ({"type": "regex", "pattern": "a", "absent": "(?=b)"}, "checks[1].absent", "look-around"),
        ({"type": "regex", "pattern": r"(?i)\pL\PL" * 50}, "checks[1].pattern", "too large"),
        ({"type": "json_schema", "schema": {"type": "objet"}}, "checks[1].schema", 'no JSON schema: "objet"'),
        ({"type": "json_schema", "schema": {"pattern": "(?=a)"}}, "checks[1].schema", "no look-around"),
        (
            {"type": "json_schema", "schema": {"$ref": "http://127.0.0.1:9/x"}},
            "checks[1].schema",
            "outside the schema",
        ),
    ],
)
async def test_a_check_that_cannot_be_used_is_named_before_a_variant_is_asked(
    tmp_path: Path, check: dict[str, Any], param: str, told: str
) -> None:
    async with behind(tmp_path, PARIS) as (gateway, [provider]):
        status, answer = await asked(gateway, checks=[{"type": "exact", "answer": "a"}, check])
        assert (status, answer["error"]["param"]) == (400, param)
        assert told in answer["error"]["message"]
        assert provider.requests == []


async def test_the_quota_comes_before_the_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with behind(tmp_path, PARIS) as (gateway, _):
        key = await with_tenant(gateway, "shop", quotas=Quotas(requests_per_min=1))
        bad = {"checks": [{"type": "regex", "pattern": "("}]}
        assert [(await asked(gateway, bearer(key), **bad))[0] for _ in range(2)] == [400, 429]


async def test_a_check_is_verified_once_however_often_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind(tmp_path, PARIS) as (gateway, _):
        verifier, verified = gateway.services.answering._verifier, []
        plain = verifier._checker.verify

        async def counted(check: Any, **options: Any) -> Any:
            verified.append(check)
            return await plain(check, **options)

        monkeypatch.setattr(verifier._checker, "verify", counted)
        for pattern in ("a", "b", "a", "a"):
            await asked(gateway, checks=[{"type": "regex", "pattern": pattern}])
        assert [check.pattern for check in verified] == ["a", "b"]


async def test_a_form_that_is_no_schema_is_left_to_the_variant(tmp_path: Path) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "f", "schema": {"type": "objet"}}}
    async with behind(tmp_path, PARIS) as (gateway, [provider]):
        status, _ = await asked(gateway, response_format=form)
        assert status == 200
        assert json.loads(provider.requests[0].body)["response_format"] == form
        assert gateway.services.signals.stats.checks.waiting == 0


async def test_a_schema_that_branches_without_end_when_it_is_applied_passes(tmp_path: Path) -> None:
    schema = {"$ref": "#/$defs/a0", "$defs": BRANCHING}
    async with behind(tmp_path, PARIS) as (gateway, _):
        assert (await asked(gateway, checks=[{"type": "json_schema", "schema": schema}]))[0] == 200
