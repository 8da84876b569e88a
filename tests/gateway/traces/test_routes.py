"""`/admin/v1/traces`, and `trilemma traces`, on traces of real requests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.gateways import HELLO, RunningGateway, behind
from tests.providers import Answer, completion_body

CHAT = "/v1/chat/completions"
PARIS = Answer(body=completion_body("Paris"))
BROKEN = Answer(status=500, body=b'{"error": {"message": "no"}}')
CONFIG = """
variants: [{name: v0, kind: remote, engine: openai, source: "http://127.0.0.1:1/v1", quality: 0.5, ttft_s: 0.1,
            tpot_s: 0.01, price: {prompt_per_mtok_usd: 1, completion_per_mtok_usd: 1}}]
"""


async def kept(gateway: RunningGateway) -> str:
    """The id of a request whose trace was kept, as it is in the database."""
    response, _ = await gateway.post(CHAT, HELLO)
    await gateway.reported()
    return response.headers["X-Request-Id"]


async def test_a_failed_over_request_is_listed_and_shown_with_its_attempts(tmp_path: Path) -> None:
    async with behind(tmp_path, BROKEN, PARIS, telemetry={"traces": {"sample": 0.0}}) as (gateway, _):
        request_id = await kept(gateway)
        _, listed = await gateway.get("/admin/v1/traces?kept=escalated&variant=v1&limit=5")
        assert [row["request_id"] for row in listed["data"]] == [request_id]
        _, shown = await gateway.get(f"/admin/v1/traces/{request_id}")
        attempts = [span["attributes"] for span in shown["spans"] if span["name"] == "attempt"]
        assert [told["trilemma.variant"] for told in attempts][-1] == "v1"
        assert attempts[0]["error.type"]
        assert {told["trilemma.attempt.role"] for told in attempts} >= {"first", "fallback"}
        assert shown["record"]["decision"]["decision_id"] == shown["decision_id"]


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("min_s=soon", "min_s"), ("kept=all", "kept"), ("cursor=x", "cursor"), ("who=me", "who")],
)
async def test_a_filter_that_cannot_be_is_refused_by_name(tmp_path: Path, query: str, param: str) -> None:
    async with behind(tmp_path, PARIS) as (gateway, _):
        response, told = await gateway.get(f"/admin/v1/traces?{query}")
        assert (response.status, told["error"]["param"]) == (400, param)


async def test_a_trace_that_is_not_kept_is_not_found(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS) as (gateway, _):
        response, told = await gateway.get("/admin/v1/traces/req_0")
        assert (response.status, told["error"]["param"]) == (404, "trace")


async def test_an_unremarkable_request_is_not_kept(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS, telemetry={"traces": {"sample": 0.0}}) as (gateway, _):
        await kept(gateway)
        assert (await gateway.get("/admin/v1/traces"))[1]["data"] == []


async def test_the_terminal_shows_a_waterfall_of_a_gateway_that_runs(tmp_path: Path) -> None:
    slow = Answer(body=completion_body("Paris"), first_after_s=1.5)
    (tmp_path / "trilemma.yaml").write_text(CONFIG)
    words = ["--config", str(tmp_path / "trilemma.yaml"), "--var", str(tmp_path), "traces"]

    def invoke(*more: str) -> str:
        result = CliRunner().invoke(main, [*words, *more], env={"COLUMNS": "80"})
        assert result.exit_code == 0, result.output
        assert "…" not in result.stdout, "a terminal of 80 columns has room for everything"
        assert all(len(line) <= 80 for line in result.stdout.splitlines() if '"' not in line)
        return result.stdout

    async with behind(tmp_path, slow, telemetry={"traces": {"sample": 1.0}}) as (gateway, _):
        request_id = await kept(gateway)
        listed = await asyncio.to_thread(invoke, "slow", "--last-s", "60")
        [span_id] = [line.split()[0] for line in listed.splitlines() if "generate" in line]
        assert span_id in await asyncio.to_thread(invoke, "show", span_id, "--json")
        shown = await asyncio.to_thread(invoke, "show", request_id)
        assert "  decide" not in shown
        assert "  decide" in await asyncio.to_thread(invoke, "show", request_id, "--all")
        assert "attempt: v0" in shown
        assert "to blame: generate" in shown
        assert "█" in next(line for line in shown.splitlines() if "upstream" in line or "to blame" in line[5:])
        assert '"span_id"' in await asyncio.to_thread(invoke, "show", request_id, "--json")
        for conditions in (("--min-s", "60"), ("--until", "2020-01-01")):
            assert "no trace of this kind" in await asyncio.to_thread(invoke, "slow", *conditions)
