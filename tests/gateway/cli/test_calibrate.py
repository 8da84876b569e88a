from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.calibration_views import result_rows
from gateway.learning.calibrated import Result
from tests.gateways import USAGE_EVENT, RunningGateway, remote, running, until
from tests.providers import Answer, ScriptedProvider, chat_events

PARIS = Answer(events=[*chat_events("Paris"), USAGE_EVENT])
TASKS = [
    {"id": f"t{n}", "prompt": f"question {n}", "family": "cities", "checks": [{"type": "exact", "answer": "paris"}]}
    for n in range(6)
]


class Command:
    """`trilemma calibrate` with the configuration and the state of a gateway of this test."""

    def __init__(self, directory: Path, *variants: dict[str, Any], url: str) -> None:
        self.config = directory / "trilemma.yaml"
        self.config.write_text(json.dumps({"variants": variants}))
        self.tasks = directory / "capitals.jsonl"
        self.tasks.write_text("".join(json.dumps(task) + "\n" for task in TASKS))
        self.arguments = ["--config", str(self.config), "--var", str(directory), "calibrate"]
        self.arguments += ["--url", url, "--tasks", str(self.tasks), "--no-train"]

    async def start(self, *options: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli", *self.arguments, *options),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )

    async def run(self, *options: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        process = await self.start(*options)
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()


def command(directory: Path, gateway: RunningGateway, *variants: dict[str, Any]) -> Command:
    return Command(directory, *variants, url=gateway.url)


async def test_results_come_from_the_log_and_a_second_run_asks_nothing_twice(tmp_path: Path) -> None:
    async with ScriptedProvider(PARIS) as provider:
        one, other = remote("one", provider), remote("other", provider)
        async with running(tmp_path, one, other) as gateway:
            calibrate = command(tmp_path, gateway, one, other)
            code, out, err = await calibrate.run("--items", "4", "--variants", "one")
            assert (code, len(provider.requests)) == (0, 4), err
            assert "one: asking 100% 4 of 4 answered" in err
            assert out.splitlines()[0].split()[:4] == ["variant", "answers", "score", "cities"]
            assert out.splitlines()[1].split()[:4] == ["one", "4", "1.00", "1.00"]
            code, out, _ = await calibrate.run("--json")
            shown = json.loads(out)
            assert (code, len(provider.requests)) == (0, 12)
            assert (shown["task_set"], shown["tasks"]) == ("capitals", 6)
            assert [(r["variant"], r["answered"], r["score"]) for r in shown["results"]] == [
                ("one", 6, 1.0),
                ("other", 6, 1.0),
            ]
            code, out, _ = await calibrate.run("--repeat", "--items", "1", "--json")
            assert (code, len(provider.requests)) == (0, 14)
            assert {r["answered"] for r in json.loads(out)["results"]} == {2}


async def test_ctrl_c_keeps_what_was_answered_and_the_next_run_goes_on_there(tmp_path: Path) -> None:
    stall = Answer(events=chat_events("Par", finish=None), ending="stall")
    async with ScriptedProvider(PARIS, PARIS, stall) as provider:
        variant = remote("one", provider)
        async with running(tmp_path, variant) as gateway:
            calibrate = command(tmp_path, gateway, variant)
            process = await calibrate.start("--together", "1")
            await until(lambda: len(provider.requests) == 3, within_s=10)
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
            assert process.returncode == 1
            assert "what has been answered is kept" in err.decode()
            assert out.decode().splitlines()[1].split()[:3] == ["one", "2", "1.00"]
            await until(lambda: provider.left == 1)
            provider.script = [PARIS]
            code, out_text, _ = await calibrate.run()
            assert (code, len(provider.requests)) == (0, 3 + 4)
            assert out_text.splitlines()[1].split()[:3] == ["one", "6", "1.00"]


async def test_a_gateway_with_another_database_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with ScriptedProvider(PARIS) as provider:
        variant = remote("one", provider)
        async with running(tmp_path, variant) as gateway:
            code, _, err = await command(other, gateway, variant).run("--items", "1")
            assert code == 1
            assert "writes to another database" in err


def test_wrong_use_is_told_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.jsonl").write_text('{"id": "a"}\n')
    for arguments, code, told in [
        (["--variants", "nobody"], 2, "there is no variant nobody; there are quantized, full, distilled"),
        (["--tasks", "bad.jsonl"], 1, "bad.jsonl: line 1: Object missing required field `prompt`"),
        (["--tasks", "none.jsonl"], 2, "does not exist"),
        (["--url", "http://127.0.0.1:9"], 1, "no gateway at http://127.0.0.1:9; without --url one is started"),
        (["--url", "nonsense"], 1, "no gateway at nonsense"),
    ]:
        result = CliRunner().invoke(main, ["calibrate", *arguments])
        assert (result.exit_code, told in result.output) == (code, True), result.output


def test_what_is_not_known_is_a_dash() -> None:
    known = Result(
        variant="a", answered=2, score=0.5, families={"x": 0.5}, ttft_s=0.1, tpot_s=0.01234, cost_usd=1.25e-4
    )
    unknown = Result(variant="b", answered=1, score=None, families={}, ttft_s=None, tpot_s=None, cost_usd=0.0)
    columns, rows = result_rows([known, unknown])
    assert columns == ["variant", "answers", "score", "x", "TTFT ms", "ms/token", "$/1000"]
    assert rows == [["a", "2", "0.50", "0.50", "100.0", "12.3", "0.1250"], ["b", "1", "-", "-", "-", "-", "0.0000"]]
