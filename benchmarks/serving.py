"""The gateway that benchmarks measure: as `trilemma serve` starts it, with the `quantized` variant alone."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from backends.supervisor.control import ControlClient
from gateway.paths import StatePaths
from gateway.settings import default_text

__all__ = ("BASE_URL", "Serving", "serving_quantized")

PORT = 18080
BASE_URL = f"http://127.0.0.1:{PORT}"
START_TIMEOUT_S = 300


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A running gateway."""

    socket_path: str
    """Where its worker listens."""
    api: psutil.Process
    """Its API process."""


@asynccontextmanager
async def serving_quantized(var: Path) -> AsyncIterator[Serving]:
    """Start it, wait until its variant is warm, stop it at the end."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "trilemma.yaml"
        config.write_text(_undisturbed(_only_quantized(default_text())))
        options = ("--config", str(config), "--var", str(var))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.cli", *options, "serve", "--port", str(PORT)
        )
        try:
            await _until_warm()
            control = ControlClient(StatePaths(root=var).control_socket)
            socket_path = next(s.socket_path for s in await control.variants() if s.name == "quantized")
            await control.aclose()
            yield Serving(socket_path=str(socket_path), api=_api_process(process.pid))
        finally:
            process.terminate()
            await process.wait()


async def _until_warm() -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline_s:
            try:
                async with session.get(f"{BASE_URL}/readyz") as reply:
                    if (await reply.json())["variants"]["quantized"]["state"] == "warm":
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.2)
    raise SystemExit("the gateway did not become ready")


def _api_process(supervisor_pid: int) -> psutil.Process:
    children = psutil.Process(supervisor_pid).children(recursive=True)
    return next(child for child in children if "gateway.server" in " ".join(child.cmdline()))


def _undisturbed(text: str) -> str:
    """Nothing is built or measured beside, and every request is generated."""
    for setting in ("exact: true ", "background: true "):
        assert setting in text, setting
        text = text.replace(setting, setting.replace("true ", "false"))
    return text


def _only_quantized(text: str) -> str:
    """The default configuration with its first variant alone."""
    head, rest = text.split("  - name: full", 1)
    return head + "\n" + rest[rest.index("build:") :]
