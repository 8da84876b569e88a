"""The Dockerfile: nothing unpinned, no root, no tools in what runs, and the very commands that it tells do work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.helm import CHART, rendered
from tests.manifests import containers, pods

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions() -> list[tuple[str, str]]:
    """Each instruction and what it says, continued lines joined."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for line in joined.splitlines() if line for word, _, rest in [line.partition(" ")]]


def stages() -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Base and instructions of each stage, by its name."""
    found: dict[str, tuple[str, list[tuple[str, str]]]] = {}
    for word, rest in instructions():
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = base, []
        elif found:
            found[name][1].append((word, rest))
    return found


def whole(stage: str) -> list[tuple[str, str]]:
    """What a stage does, those it stands on included."""
    base, own = stages()[stage]
    return (whole(base) if base in stages() else []) + own


def test_everything_stands_on_one_pinned_base() -> None:
    (default,) = [rest.partition("=")[2] for word, rest in instructions() if word == "ARG" and "=" in rest]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", default)
    assert {base for base, _ in stages().values()} <= {"${PYTHON}", *stages()}


@pytest.mark.parametrize("stage", ["gateway", "local"])
def test_what_runs_is_no_root_is_told_when_to_end_and_can_be_asked_whether_it_lives(stage: str) -> None:
    said = dict(whole(stage))
    assert said["USER"] == "10001:10001"
    assert said["STOPSIGNAL"] == "SIGTERM"
    assert "/livez" in said["HEALTHCHECK"]
    assert said["ENTRYPOINT"] == '["trilemma"]'


@pytest.mark.parametrize("stage", ["gateway", "local"])
def test_what_runs_is_installed_elsewhere_and_only_copied(stage: str) -> None:
    said = whole(stage)
    assert [rest for word, rest in said if word == "COPY"] == [
        f"--from={'build' if stage == 'gateway' else 'build-local'} /opt/trilemma /opt/trilemma"
    ]
    for word, rest in said:
        assert not (word == "RUN" and re.search(r"pip|apt|curl|wget|git", rest)), rest
        assert word != "ADD"


def test_installs_are_held_to_the_versions_that_were_tested() -> None:
    for word, rest in instructions():
        if word == "RUN":
            for command in re.split(r"&&", rest):
                if " install " in command and "pip" in command:
                    assert "--constraint constraints.txt" in command or "--no-deps" in command, command


def test_the_default_is_the_image_without_an_inference_library() -> None:
    assert list(stages())[-1] == "gateway"
    installed = " ".join(rest for word, rest in whole("build") if word == "RUN")
    assert "local" not in installed


def test_nothing_is_built_in_that_is_not_asked_for() -> None:
    kept = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = {
        name
        for _, (_, said) in stages().items()
        for word, rest in said
        if word == "COPY" and "--from" not in rest
        for name in shlex.split(rest)[:-1]
    }
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)


def test_its_command_and_the_chart_s_are_commands_of_ours() -> None:
    said = dict(whole("gateway"))
    commands = [[word.strip('", ') for word in re.findall(r'"[^"]+"', said["CMD"])]]
    for _, spec in pods(rendered("--values", str(CHART / "ci" / "everything.yaml"))):
        commands += [c["args"] for c in containers(spec) if "command" not in c]
    assert len(commands) == 4
    for command in commands:
        asked = CliRunner().invoke(main, [*command, "--help"])
        assert asked.exit_code == 0, (command, asked.output)


def test_the_chart_runs_as_the_user_of_the_image() -> None:
    user = int(dict(whole("gateway"))["USER"].partition(":")[0])
    for name, spec in pods(rendered()):
        assert spec["securityContext"]["runAsUser"] == user, name
