"""Programs that come with the system and not with pip: found, or installed where that may be done.

Where they cannot be had, tests that need them are skipped and say so. The environment's `TRILEMMA_REQUIRE`, a list of
names parted by commas, makes it a failure instead.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock

__all__ = ("TOOLS", "chromium", "fetch", "prometheus", "promtool")

TOOLS = Path(__file__).parents[1] / "var" / "tools"
WITHIN_S = 600

logger = logging.getLogger(__name__)


@cache
def chromium() -> Path:
    """The browser; its package brings libraries, so it is installed as the system does it, by root on Debian."""
    found = shutil.which("chromium")
    if found is None and _may_install():
        with _alone():
            _apt("install", "--yes", "--no-install-recommends", "chromium")
        found = shutil.which("chromium")
    return Path(found) if found else _missing("browser", "`apt-get install chromium`, as root on Debian")


def prometheus() -> Path:
    """The server."""
    return _prometheus("prometheus")


def promtool() -> Path:
    """The checker of rules and of what is exposed."""
    return _prometheus("promtool")


@cache
def _prometheus(name: str) -> Path:
    """One of the package's programs. It is unpacked and not installed: its package would start a service."""
    found = shutil.which(name)
    if found:
        return Path(found)
    program = TOOLS / "prometheus" / "usr" / "bin" / name
    if not program.exists() and shutil.which("apt-get"):
        with _alone(), tempfile.TemporaryDirectory(dir=TOOLS) as directory:
            _apt("download", "prometheus", directory=Path(directory))
            for package in Path(directory).glob("prometheus_*.deb"):
                subprocess.run(["dpkg", "-x", package, TOOLS / "prometheus"], check=True, timeout=WITHIN_S)
    return program if program.exists() else _missing("prometheus", "`apt-get install prometheus`")


def fetch(*tools: Callable[[], object]) -> None:
    """Have tools at hand before the first test, whose time is not to be spent on that.

    What is missing is said by the tests that need it.
    """
    for tool in tools:
        with contextlib.suppress(pytest.skip.Exception, pytest.fail.Exception):
            tool()


def _may_install() -> bool:
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def _alone() -> FileLock:
    TOOLS.mkdir(parents=True, exist_ok=True)
    return FileLock(TOOLS / "apt.lock", timeout=WITHIN_S)


def _apt(*arguments: str, directory: Path | None = None) -> None:
    """Ask for a package, once more after the lists were brought up to date; what fails is told by what is missing."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (arguments, ("update",), arguments):
        logger.info("apt-get %s", " ".join(command))
        done = subprocess.run(
            ["apt-get", "--quiet", *command],
            cwd=directory,
            env=environment,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        if done.returncode == 0 and command is arguments:
            return
        if done.returncode != 0:
            logger.warning("%s", done.stderr.strip()[-500:])


def _missing(name: str, hint: str) -> Path:
    message = f"{name} is not on this machine: {hint}"
    if name in os.environ.get("TRILEMMA_REQUIRE", "").split(","):
        pytest.fail(f"{message}; TRILEMMA_REQUIRE asks for it")
    pytest.skip(message)
