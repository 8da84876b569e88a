"""The API process as the supervisor starts it: `python -m gateway.server` on an inherited socket."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import psutil
import pytest

from gateway.decisions.read import export
from tests.gateways import HELLO, remote
from tests.providers import Answer, ScriptedProvider, chat_events

FOREIGN = ("torch", "transformers", "openvino", "openvino_genai", "sklearn", "pandas", "httpx", "huggingface_hub")
LOOK = f"""
import sys, psutil, gateway.server
loaded = sorted(set({FOREIGN!r}) & {{name.partition(".")[0] for name in sys.modules}})
print(loaded, psutil.Process().memory_info().rss)
"""


def test_the_api_process_loads_no_inference_library_and_stays_small() -> None:
    found = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, check=True, text=True)
    loaded, resident_bytes = found.stdout.rsplit(maxsplit=1)
    assert loaded == "[]"
    assert int(resident_bytes) < 150e6


@contextmanager
def serving(
    directory: Path, *variants: dict[str, object], drain_s: float = 1.0
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    config = directory / "trilemma.yaml"
    config.write_text(json.dumps({"variants": variants, "server": {"drain_s": drain_s}}))
    listening = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-m", "gateway.server", "--fd", str(listening.fileno())]
    command += ["--config", str(config), "--var", str(directory)]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            pass_fds=[listening.fileno()],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[2],
        )
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    listening.close()
    try:
        yield process, url
    finally:
        process.kill()
        process.communicate()


async def first_piece(client: openai.AsyncOpenAI) -> openai.AsyncStream[openai.types.chat.ChatCompletionChunk]:
    stream = await client.chat.completions.create(model="auto", messages=HELLO["messages"], stream=True)
    await anext(stream)
    return stream


@pytest.mark.parametrize("ending", ["within_the_drain", "after_the_drain"])
async def test_streams_run_on_for_the_drain_time_and_are_cut_after_it(tmp_path: Path, ending: str) -> None:
    finishes = ending == "within_the_drain"
    answer = Answer(events=chat_events(*"ab" * (3 if finishes else 100)), every_s=0.1)
    async with ScriptedProvider(answer) as provider:
        with serving(tmp_path, remote("a", provider)) as (process, url):
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
                stream = await first_piece(client)
                resident_bytes = psutil.Process(process.pid).memory_info().rss
                process.send_signal(signal.SIGTERM)
                if finishes:
                    assert len([chunk async for chunk in stream]) >= 6
                else:
                    with pytest.raises(openai.APIError, match="the gateway is restarting"):
                        [chunk async for chunk in stream]
                await wait(process)
    [record] = export(f"sqlite:///{tmp_path / 'trilemma.db'}")
    assert record.outcome is not None
    assert record.outcome.ending == ("done" if finishes else "stopped")
    assert resident_bytes < 150e6


async def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    async with ScriptedProvider(Answer(events=chat_events("a"))) as provider:
        with serving(tmp_path, remote("a", provider)) as (process, url):
            async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=3) as client:
                await first_piece(client)
            assert process.stdin is not None
            process.stdin.close()
            await wait(process, within_s=2)


def test_a_database_that_cannot_be_opened_ends_the_process(tmp_path: Path) -> None:
    (tmp_path / "trilemma.db").mkdir()
    variant = {
        "name": "a",
        "kind": "remote",
        "engine": "openai",
        "source": "http://x",
        "price": {"compute_per_hour_usd": 1},
    }
    with serving(tmp_path, variant) as (process, _):
        assert process.wait(timeout=15) != 0
        assert b"unable to open database file" in (tmp_path / "log").read_bytes()


async def wait(process: subprocess.Popen[bytes], *, within_s: float = 10) -> None:

    deadline_s = time.monotonic() + within_s
    while process.poll() is None:
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.02)
