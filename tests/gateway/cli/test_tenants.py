"""`trilemma tenants` works on the database itself, what it writes is in force, and it says what to do."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.tenants.keys import key_id_of
from gateway.tenants.types import Tenant
from tests.gateways import USAGE_EVENT, RunningGateway, remote, running
from tests.policy_documents import a_document
from tests.providers import Answer, ScriptedProvider, chat_events
from tests.tenancy import bearer, with_tenant

PARIS = Answer(events=[*chat_events("Paris"), USAGE_EVENT])


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRILEMMA_API_KEY", raising=False)


def tenants(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["tenants", *arguments], prog_name="trilemma")


def told(*arguments: str) -> Any:
    result = tenants(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_new_tenant_gets_a_key_on_standard_output_and_the_line_that_uses_it_beside() -> None:
    result = tenants("add", "support", "sla.ttft_p95_s=0.5", "variants=[full, quantized]", "budget.usd=3")
    assert result.exit_code == 0
    key = result.stdout.strip()
    assert key_id_of(key) is not None
    assert (
        'curl http://127.0.0.1:8080/v1/chat/completions -H "Authorization: Bearer $TRILEMMA_API_KEY"' in result.stderr
    )
    assert key not in result.stderr
    shown = told("show", "support")["tenant"]
    assert (shown["sla"]["ttft_p95_s"], shown["variants"], shown["budget"]["usd"]) == (
        0.5,
        ["full", "quantized"],
        3.0,
    )
    assert key.rpartition("_")[2] not in tenants("keys", "list").stdout + tenants("changes").stdout


def test_fields_are_changed_one_by_one_or_by_a_file(tmp_path: Path) -> None:
    assert told("add", "law", "--no-key")["key"] is None
    told("set", "law", "quotas.concurrent=3", "limits.min_quality=0.7")
    assert told("set", "law", "quotas.concurrent=null")["tenant"]["limits"]["min_quality"] == 0.7
    text = tenants("show", "law").stdout
    (tmp_path / "law.yaml").write_text(text.replace("weight: 1.0", "weight: 3.0"))
    assert told("set", "law", "--file", "law.yaml")["tenant"]["weight"] == 3.0
    (tmp_path / "short.yaml").write_text("weight: 4\n")
    assert told("add", "more", "--file", "short.yaml", "--no-key")["tenant"]["tenant"]["weight"] == 4.0
    assert tenants("list").stdout.splitlines()[0].endswith("limits.min_quality=0.7 weight=3.0")


def test_keys_are_made_rotated_and_revoked() -> None:
    told("add", "law", "--no-key")
    made = told("keys", "add", "law", "--role", "operator", "--name", "ci", "--expires-days", "2")
    record = made["record"]
    assert (record["role"], record["name"], record["expires_at_s"] - record["created_at_s"]) == (
        "operator",
        "ci",
        172_800,
    )
    followed = told("keys", "rotate", record["key_id"], "--grace-hours", "1")["record"]
    told("keys", "revoke", record["key_id"])
    states = {line.split()[0]: line for line in tenants("keys", "list", "law").stdout.splitlines()}
    assert "revoked" in states[record["key_id"]]
    assert "in force until" in states[followed["key_id"]]
    assert [c["action"] for c in told("changes", "--limit", "3")["changes"]] == [
        "revoke_key",
        "rotate_key",
        "add_key",
    ]


def test_a_removed_tenant_is_kept_and_can_be_brought_back() -> None:
    told("add", "law")
    tenants("remove", "law")
    assert "all tenants are removed" in tenants("list").stdout
    assert [t["tenant"]["id"] for t in told("list", "--all")["tenants"]] == ["law"]
    assert tenants("keys", "add", "law").exit_code == 1
    tenants("restore", "law")
    assert tenants("keys", "add", "law").exit_code == 0


def test_a_rule_about_a_tenant_that_nobody_is_cannot_be_published(tmp_path: Path) -> None:
    rule = "rules:\n  - {name: r, match: {tenant: [laww]}, then: {exclude: [full]}}\n"
    (tmp_path / "p.yaml").write_text(a_document() + rule)
    publish = ["policy", "publish", "p.yaml", "--reason", "x"]
    assert CliRunner().invoke(main, publish).exit_code == 0, "without tenants no name is wrong"
    told("add", "law", "--no-key")
    refused = CliRunner().invoke(main, publish)
    assert (refused.exit_code, "unknown tenant `laww`; did you mean `law`?" in refused.output) == (1, True)


def test_configured_tenants_can_have_keys_before_the_first_start(tmp_path: Path) -> None:
    (tmp_path / "trilemma.yaml").write_text(json.dumps(CONFIGURED))
    assert tenants("keys", "add", "law").exit_code == 0
    assert [t["tenant"]["id"] for t in told("list")["tenants"]] == ["law"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("add", "Bad Name"), 2, "small letters"),
        (("add", "law"), 1, "there is a tenant `law` already"),
        (("add", "x", "quotas.rpm=1"), 1, "`rpm` - at `quotas`"),
        (("add", "x", "variants=[nobody]"), 1, "`nobody` is not configured; known:"),
        (("add", "x", "weight"), 2, "not PATH=VALUE"),
        (("add", "x", "weight=a: b: c"), 2, "no value for `weight`"),
        (("set", "law"), 2, "nothing to change"),
        (("set", "nobody", "weight=1"), 1, "there is no tenant `nobody`"),
        (("show", "nobody"), 1, "`trilemma tenants list`"),
        (("remove", "nobody"), 1, "there is no tenant `nobody`"),
        (("keys", "add", "nobody"), 1, "there is no tenant `nobody`"),
        (("keys", "add", "law", "--role", "root"), 2, "'root' is not one of"),
        (("keys", "add", "law", "--name", "x" * 65), 2, "64 characters"),
        (("keys", "add", "law", "--name", "\x1b[2J"), 2, "no control characters"),
        (("add", "x\n"), 2, "small letters"),
        (("keys", "revoke", "nobody"), 1, "there is no key `nobody` in force"),
        (("set", "law", "--file", "bad.yaml"), 1, "bad.yaml:2"),
        (("set", "law", "--file", "other.yaml"), 1, "of tenant `other`"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_changes(
    tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    told("add", "law", "--no-key")
    (tmp_path / "bad.yaml").write_text("id: law\nwieght: 1\n")
    (tmp_path / "other.yaml").write_text("id: other\n")
    result = tenants(*arguments)
    assert (result.exit_code, message in result.stderr) == (code, True), result.output
    assert len(told("changes")["changes"]) == 1


CONFIGURED: dict[str, Any] = {
    "variants": [
        {
            "name": "v",
            "kind": "remote",
            "engine": "openai",
            "source": "http://127.0.0.1:1",
            "price": {"prompt_per_mtok_usd": 1, "completion_per_mtok_usd": 1},
        }
    ],
    "tenants": [{"id": "law"}],
}


async def command(
    directory: Path, gateway: RunningGateway, *arguments: str, key: str | None = None
) -> tuple[int, str]:
    """A command against a running gateway, in a process of its own: its exit code and all it said."""
    import os

    environment = {name: value for name, value in os.environ.items() if name != "TRILEMMA_API_KEY"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "--config", str(directory / "own.yaml"), "--var", str(directory)),
        *arguments,
        *("--url", gateway.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=Path(__file__).parents[3],
        env=environment | ({} if key is None else {"TRILEMMA_API_KEY": key}),
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_chat_takes_its_key_from_the_environment(tmp_path: Path) -> None:
    async with ScriptedProvider(PARIS) as provider, running(tmp_path, remote("v", provider)) as gateway:
        (tmp_path / "own.yaml").write_text(json.dumps({"variants": [remote("v", provider)]}))
        key = await with_tenant(gateway, "law")
        chat = ("chat", "--once", "Capital of France?")
        code, said = await command(tmp_path, gateway, *chat)
        assert (code, "TRILEMMA_API_KEY" in said) == (1, True)
        code, said = await command(tmp_path, gateway, *chat, key=key.text)
        assert (code, said.splitlines()[0]) == (0, "Paris")


async def test_calibrate_makes_itself_a_key_and_leaves_none_behind(tmp_path: Path) -> None:
    tasks = tmp_path / "capitals.jsonl"
    task = {"id": "t", "prompt": "q", "family": "cities", "checks": [{"type": "exact", "answer": "paris"}]}
    tasks.write_text(json.dumps(task) + "\n")
    async with ScriptedProvider(PARIS) as provider, running(tmp_path, remote("v", provider)) as gateway:
        (tmp_path / "own.yaml").write_text(json.dumps({"variants": [remote("v", provider)]}))
        law = await with_tenant(gateway, "law")
        code, said = await command(tmp_path, gateway, "calibrate", "--tasks", str(tasks), "--no-train")
        assert (code, len(provider.requests)) == (0, 1), said
        directory = gateway.services.directory
        keys = await directory.read(lambda store: store.keys.all(tenant="default"))
        assert [(key.name, key.role, key.revoked_at_s is not None) for key in keys] == [("calibrate", "caller", True)]
        assert directory.find("law") == Tenant(id="law")
        async with gateway.session.get(f"{gateway.url}/v1/models", headers=bearer(law)) as response:
            assert response.status == 200
