"""A real gateway: `trilemma serve` with three real variants, started once for all tests of this folder.

The variants are built on first use, under `var/test-models` (or `TRILEMMA_TEST_VAR`), so that later runs start at
once. The third one is the closed-form build, which takes a minute where the distilled one takes many.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import CONFIG, ROOT, Gateway, serving
from tests.system_tools import chromium, fetch


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    fetch(chromium)


@pytest.fixture(scope="session")
def models_var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory that holds the built variants."""
    var = Path(os.environ.get("TRILEMMA_TEST_VAR", ROOT / "var" / "test-models"))
    config = tmp_path_factory.mktemp("build") / "trilemma.yaml"
    config.write_text(CONFIG)
    command = [sys.executable, "-m", "gateway.cli", "--config", str(config), "--var", str(var)]
    subprocess.run([*command, "variants", "build", "--no-cards"], check=True, cwd=ROOT, timeout=1200)
    return var


@pytest.fixture(scope="session")
def gateway(models_var: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The gateway most tests share, `quantized` and `full` warm, `pruned` on demand."""
    with serving(models_var, tmp_path_factory.mktemp("gateway")) as running:
        running.wait_for("quantized", "warm", timeout_s=60)
        running.wait_for("full", "warm", timeout_s=90)
        yield running
