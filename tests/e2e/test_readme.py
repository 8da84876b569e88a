"""Every command and every piece of code that README shows runs, against a gateway with real models."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gateway.settings import Settings
from policies.documents.yaml_text import decode_yaml
from tests.serving import ROOT, Gateway

pytestmark = [pytest.mark.models, pytest.mark.timeout(120)]

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def here(text: str, gateway: Gateway) -> str:
    """The same, for the gateway of this test run."""
    return text.replace("http://127.0.0.1:8080", gateway.url)


@pytest.mark.parametrize("command", blocks("bash"))
def test_every_curl_of_the_readme_gets_an_answer(gateway: Gateway, command: str) -> None:
    done = subprocess.run(["bash", "-c", here(command, gateway)], capture_output=True, timeout=100, check=True)
    if '"stream": true' in command:
        assert done.stdout.rstrip().endswith(b"data: [DONE]")
        return
    answer = msgspec.json.decode(done.stdout)
    assert answer["choices"][0]["finish_reason"] in {"stop", "length"}
    assert ("trilemma" in answer) == ("X-Trilemma-Explain" in command)


@pytest.mark.parametrize("code", blocks("python"))
def test_the_python_of_the_readme_prints_an_answer(gateway: Gateway, code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", here(code, gateway)], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.split()[0] in {"quantized", "full", "pruned"}


@pytest.mark.parametrize("block", blocks("sh"))
def test_the_policy_commands_of_the_readme_do_what_they_say(block: str, tmp_path: Path) -> None:
    for line in block.splitlines():
        _, *words = shlex.split(line)
        command = [sys.executable, "-m", "gateway.cli", "--var", str(tmp_path), *words]
        subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True)
    listed = [sys.executable, "-m", "gateway.cli", "--var", str(tmp_path), "policy", "list", "--json"]
    versions = msgspec.json.decode(
        subprocess.run(listed, cwd=ROOT, capture_output=True, timeout=60, check=True).stdout
    )
    assert "published" in str(versions)


@pytest.mark.parametrize("block", blocks("shell"))
def test_the_tenant_commands_of_the_readme_do_what_they_say(block: str, tmp_path: Path) -> None:
    for line in block.splitlines():
        _, *words = shlex.split(line)
        command = [sys.executable, "-m", "gateway.cli", "--var", str(tmp_path), *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
        assert ("tri_" in done.stdout) == ("add" in words), line


@pytest.mark.parametrize("text", blocks("yaml"))
def test_the_configuration_of_the_readme_is_valid(text: str) -> None:
    assert decode_yaml(text, Settings, source_name="README.md").variants


def test_both_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^    make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
