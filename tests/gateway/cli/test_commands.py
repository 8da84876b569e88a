from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from backends.models.store import Store
from gateway.cli import main
from gateway.settings import Settings, default_text, load_settings
from tests.gateways import CARD, HELLO, exchange, opened, remote
from tests.model_helpers import a_variant, publish_bytes
from tests.providers import ScriptedProvider

BAD = "server:\n  prot: 1\n"


def run(*arguments: str) -> Result:
    """One command in an empty directory, what it wrote and its exit code."""
    return CliRunner().invoke(main, arguments, prog_name="trilemma")


@pytest.fixture(autouse=True)
def _in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def every(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from every(inner, (*path, name))


@pytest.mark.parametrize("path", list(every(main)), ids=" ".join)
def test_every_command_explains_itself_and_its_options(path: tuple[str, ...]) -> None:
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: {' '.join(('trilemma', *path))} ")
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    bare = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert bare == []


@pytest.mark.parametrize("arguments", [["frobnicate"], ["serve", "--port", "x"], ["variants", "build", "nobody"]])
def test_wrong_use_is_exit_code_2(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.output.startswith("Usage: ")


def test_a_sound_configuration_is_exit_code_0_and_names_its_variants() -> None:
    result = run("config", "check")
    assert (result.exit_code, result.output) == (
        0,
        "built-in configuration: ok; variants quantized, full, distilled\n",
    )


def test_the_effective_configuration_can_be_read_back(tmp_path: Path) -> None:
    shown = run("config", "check", "--json").output
    (tmp_path / "again.yaml").write_text(shown)
    assert load_settings(tmp_path / "again.yaml") == load_settings()


def test_a_bad_configuration_is_exit_code_1_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "trilemma.yaml").write_text(BAD)
    for arguments in (["config", "check"], ["variants", "list"], ["decisions", "export"], ["serve"]):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "trilemma.yaml:2:3: unknown key `prot`" in result.output


def test_a_configuration_that_is_not_there_is_wrong_use() -> None:
    result = run("--config", "none.yaml", "config", "check")
    assert result.exit_code == 2
    assert "cannot read none.yaml: No such file" in result.output


def test_the_schema_is_json_schema() -> None:
    schema = json.loads(run("config", "schema").output)
    assert schema["$ref"] == "#/$defs/Settings"
    assert set(schema["$defs"]["Settings"]["properties"]) == set(Settings.__struct_fields__)
    assert schema["$defs"]["ServerSettings"]["properties"]["port"] == {
        "description": "TCP port; 0 takes a free one.",
        "type": "integer",
        "minimum": 0,
        "maximum": 65535,
        "default": 8080,
    }


def test_init_writes_the_default_once(tmp_path: Path) -> None:
    assert run("init").exit_code == 0
    file = tmp_path / "trilemma.yaml"
    assert file.read_text() == default_text()
    file.write_text("mine")
    result = run("init")
    assert result.exit_code == 1
    assert "--force" in result.output
    assert file.read_text() == "mine"
    assert run("init", "--force").exit_code == 0
    assert file.read_text() == default_text()


def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("serve", "--port", str(port))
    assert result.exit_code == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in result.output
    assert list(tmp_path.iterdir()) == []


def test_variants_are_listed_with_what_was_built_and_measured(tmp_path: Path) -> None:
    store = Store(tmp_path / "var" / "models")
    revision = publish_bytes(store, b"weights", variant=a_variant("quantized")).revision
    store.write_card("quantized", CARD, revision=revision)
    lines = run("variants", "list").output.splitlines()
    quantized, full = (next(line for line in lines if line.startswith(name)) for name in ("quantized", "full"))
    assert quantized.split() == [
        "quantized",
        "quantized",
        "openvino",
        revision,
        *["0.75", "±", "0.04", "10.0", "100", "3.0", "0", "-", "-"],
    ]
    assert full.split() == ["full", "full", "transformers", "missing", *"-------"]
    listed = json.loads(run("variants", "list", "--json").output)
    assert listed[0]["manifest"]["card"]["quality"] == 0.75
    assert listed[1]["manifest"] is None


async def decided(directory: Path) -> str:
    """The id of a decision that a gateway with its state there has made."""
    async with opened(directory, remote("a", ScriptedProvider())) as services:
        taken = exchange(services)
        services.decider.choose(taken)
        return taken.decision_id


def test_the_log_is_exported_as_json_lines(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    decision_id = asyncio.run(decided(tmp_path / "var"))
    result = run("decisions", "export")
    assert (result.exit_code, result.stderr) == (0, "1 decisions\n")
    record = json.loads(result.stdout)
    assert (record["decision"]["decision_id"], record["outcome"]) == (decision_id, None)
    assert HELLO["messages"][0]["content"] not in result.stdout, "prompts are not stored"
    assert run("decisions", "export", "-o", "log.jsonl").exit_code == 0
    assert (tmp_path / "log.jsonl").read_text() == result.stdout
    assert run("decisions", "export", "--until", str(record["decision"]["created_at_s"])).stdout == ""


def test_a_log_that_cannot_be_read_or_written_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "var" / "trilemma.db").mkdir(parents=True)
    result = run("decisions", "export")
    assert result.exit_code == 1
    assert "Error: " in result.output
    assert "unable to open database file" in result.output
    assert run("decisions", "export", "-o", "no/such/directory").exit_code == 2
