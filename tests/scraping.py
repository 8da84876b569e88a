"""A real Prometheus that scrapes a gateway, and can be asked."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.system_tools import prometheus

__all__ = ("asked", "scraping")


@asynccontextmanager
async def scraping(directory: Path, target: str, *, key: str | None = None) -> AsyncIterator[str]:
    """A server of its own that looks at the target every second, with a key if it needs one; its address."""
    program = prometheus()
    job: dict[str, Any] = {"job_name": "trilemma", "static_configs": [{"targets": [target]}]}
    if key is not None:
        job["authorization"] = {"type": "Bearer", "credentials": key}
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [job],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [program, f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'tsdb'}"]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


async def asked(session: aiohttp.ClientSession, url: str, query: str) -> list[dict[str, Any]]:
    """What a query comes to; nothing while the server cannot say."""
    try:
        async with session.get(f"{url}/api/v1/query", params={"query": query}) as response:
            return list((await response.json())["data"]["result"]) if response.status == 200 else []
    except aiohttp.ClientError:
        return []
