from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.gateways import USAGE_EVENT, RunningGateway, behind
from tests.providers import Answer, ScriptedProvider, chat_events

PARIS = Answer(events=[*chat_events("Par", "is"), USAGE_EVENT])


async def trilemma(*arguments: str, stdin: str = "", url: str) -> tuple[int, str, str]:
    """One `trilemma chat` in a process of its own: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "chat", "--url", url, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def asked(provider: ScriptedProvider) -> list[list[str]]:
    """What each request that arrived had as its conversation."""
    return [[m["content"] for m in json.loads(r.body)["messages"]] for r in provider.requests]


async def test_one_answer_comes_with_its_variant_speed_and_reason(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS, PARIS) as (gateway, _):
        code, out, _ = await trilemma("--once", "Capital of France?", url=gateway.url)
        answer, about = out.splitlines()
        assert (code, answer) == (0, "Paris")
        assert about.startswith("[v0] TTFT ")
        assert "5 tokens" in about
        assert "`v0`" in about


async def test_one_answer_can_be_json(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS, PARIS) as (gateway, _):
        code, out, _ = await trilemma("--once", "x", "--json", "--model", "v1", url=gateway.url)
        shown = json.loads(out)
        assert (code, shown["content"], shown["trilemma"]["variant"]) == (0, "Paris", "v1")
        assert shown["usage"]["completion_tokens"] == 5


async def test_a_conversation_keeps_its_turns_and_drops_those_that_failed(tmp_path: Path) -> None:
    async with behind(tmp_path, PARIS) as (gateway, [provider]):
        provider.script = [PARIS, Answer(status=400, body=b'{"error": {"message": "odd"}}'), PARIS]
        code, out, err = await trilemma(stdin="one\ntwo\nthree\n\n", url=gateway.url)
        assert code == 0
        assert out.count("Paris") == 2
        assert "odd" in err
        assert asked(provider) == [["one"], ["one", "Paris", "two"], ["one", "Paris", "three"]]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(events=chat_events("Pa", finish=None), ending="cut"), "not completed"),
        (Answer(status=429, body=b'{"error": {"message": "slow down"}}'), "slow down"),
    ],
)
async def test_an_answer_that_fails_is_exit_code_1(tmp_path: Path, answer: Answer, words: str) -> None:
    async with behind(tmp_path, answer) as (gateway, _):
        code, _, err = await trilemma("--once", "x", url=gateway.url)
        assert code == 1
        assert words in err


async def test_a_gateway_that_dies_mid_answer_leaves_no_answer_that_looks_whole(tmp_path: Path) -> None:
    endless = Answer(events=chat_events(*"x" * 300), every_s=0.05)

    async def dies(gateway: RunningGateway, provider: ScriptedProvider) -> None:
        while not provider.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        for connection in list(gateway.server.server_state.connections):
            connection.transport.abort()

    async with behind(tmp_path, endless) as (gateway, [provider]):
        dying = asyncio.create_task(dies(gateway, provider))
        code, _, err = await trilemma("--once", "x", url=gateway.url)
        await dying
        assert code == 1
        assert "the answer broke off" in err


async def test_no_gateway_at_all_says_how_to_start_one() -> None:
    code, _, err = await trilemma("--once", "x", url="http://127.0.0.1:1")
    assert code == 1
    assert "no gateway at http://127.0.0.1:1" in err
    assert "trilemma serve" in err
