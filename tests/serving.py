"""A real gateway in a process of its own, for tests that need one."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import openai

ROOT = Path(__file__).parents[1]
START_TIMEOUT_S = 90.0

CONFIG = """
variants:
  - {name: quantized, kind: quantized, engine: openvino, source: "built:q8_0",
     decoding: {temperature: 0, max_tokens: 256}, price: {compute_per_hour_usd: 0.10}}
  - {name: full, kind: full, engine: transformers, source: "built:dequantize", max_running: 8,
     decoding: {temperature: 0, max_tokens: 256}, price: {compute_per_hour_usd: 0.10}}
  - {name: pruned, kind: pruned, engine: openvino, source: "built:pruned", warm: on_demand,
     decoding: {temperature: 0, max_tokens: 256}, price: {compute_per_hour_usd: 0.10}}
aliases:
  small: [quantized, pruned]
policy: {epsilon: 0.0}
build: {background: false}
cache: {exact: false}  # What is tested with it is the variants.
server: {drain_s: 5, max_body_bytes: 1048576}
"""


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A running gateway."""

    process: subprocess.Popen[bytes]
    url: str
    var: Path
    config: Path

    def get(self, path: str) -> dict[str, object]:
        """The JSON a route answers, whatever the status."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as reply:
                body = reply.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        return msgspec.json.decode(body)

    def state(self, variant: str) -> str:
        """State of one variant."""
        return self.get("/readyz")["variants"][variant]["state"]  # type: ignore[index, return-value]

    def client(self, **options: object) -> openai.OpenAI:
        """The official client, without retries of its own."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0, **options)  # type: ignore[arg-type]

    def wait_for(self, variant: str, state: str, *, timeout_s: float) -> None:
        """Wait until a variant has a state."""
        deadline_s = time.monotonic() + timeout_s
        while self.state(variant) != state:
            assert time.monotonic() < deadline_s, f"{variant} is {self.state(variant)}, not {state}"
            assert self.process.poll() is None, "the gateway has ended"
            time.sleep(0.1)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(var: Path, directory: Path, *, config: str = CONFIG) -> Iterator[Gateway]:
    """A gateway of its own: the models of `var`, everything else fresh."""
    directory.mkdir(exist_ok=True)
    if not (directory / "models").exists():
        (directory / "models").symlink_to(var / "models")
    file = directory / "trilemma.yaml"
    file.write_text(config)
    port = free_port()
    command = [sys.executable, "-m", "gateway.cli", "--config", str(file), "--var", str(directory)]
    with (directory / "serve.log").open("wb") as log:
        process = subprocess.Popen([*command, "serve", "--port", str(port)], stdout=log, stderr=log, cwd=ROOT)
    gateway = Gateway(process=process, url=f"http://127.0.0.1:{port}", var=directory, config=file)
    try:
        _until_answering(gateway)
        yield gateway
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until_answering(gateway: Gateway) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline_s and gateway.process.poll() is None:
        try:
            if gateway.get("/readyz")["status"] == "ready":
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError((gateway.var / "serve.log").read_text())
