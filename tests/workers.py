"""Real worker processes for tests, and a TCP port in front of one."""

from __future__ import annotations

import contextlib
import dataclasses
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import openai

from backends.worker.spec import WorkerSpec

__all__ = ("Served", "forwarded", "working")

ROOT = Path(__file__).parents[1]
_START_TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Served:
    """A running worker, as reached by one way."""

    spec: WorkerSpec
    process: subprocess.Popen[bytes]
    log: Path
    http: httpx2.Client
    """A plain HTTP client; it opens no connection before it is used."""

    @property
    def client(self) -> openai.OpenAI:
        """The official client, without retries."""
        base_url = str(self.http.base_url.join("/v1"))
        return openai.OpenAI(base_url=base_url, api_key="none", http_client=self.http, max_retries=0)

    def get(self, path: str) -> dict[str, Any]:
        """The JSON that a route answers."""
        answer: dict[str, Any] = self.http.get(path).json()
        return answer

    def wait_for_load(self, *, timeout_s: float = 5.0, **wanted: object) -> dict[str, Any]:
        """Poll `/load` until it has these fields."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            load = self.get("/load")
            if all(load[key] == value for key, value in wanted.items()):
                return load
            assert time.monotonic() < deadline_s, f"never {wanted}: {load}"
            time.sleep(0.01)

    def chat(self, text: str = "What is the capital of France?", **fields: Any) -> Any:
        """One chat completion, greedy unless said otherwise; extra fields go into the body."""
        fields = {"temperature": 0.0, "max_tokens": 12, **fields}
        return self.client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": text}], **fields
        )


@contextlib.contextmanager
def working(spec_fields: dict[str, Any], *, wait: bool = True) -> Iterator[Served]:
    """Start `python -m backends.worker`, and stop it at the end."""
    directory = Path(tempfile.mkdtemp(prefix="tw-"))
    spec = WorkerSpec(socket_path=str(directory / "w.sock"), **spec_fields)
    log = directory / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "backends.worker"], stdin=subprocess.PIPE, stderr=stderr, cwd=ROOT
        )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(spec) + b"\n")
    process.stdin.flush()
    transport = httpx2.HTTPTransport(uds=spec.socket_path)
    try:
        with httpx2.Client(base_url="http://worker", transport=transport, timeout=60) as http:
            served = Served(spec=spec, process=process, log=log, http=http)
            if wait:
                _until_warm(served)
            yield served
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=15)
        process.kill()
        process.wait()
        process.stdin.close()
        shutil.rmtree(directory)


def _until_warm(served: Served) -> None:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline_s and served.process.poll() is None:
        if _listens(served.spec.socket_path) and served.http.get("/healthz").status_code == 200:
            return
        time.sleep(0.05)
    raise AssertionError(served.log.read_text())


def _listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


@contextlib.contextmanager
def forwarded(served: Served) -> Iterator[Served]:
    """The same worker, reached over TCP as a remote server is."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, served.spec.socket_path), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with httpx2.Client(base_url=url, timeout=60) as http:
            yield dataclasses.replace(served, http=http)
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, path: str) -> None:
    with contextlib.suppress(OSError):
        while True:
            near, _ = listener.accept()
            threading.Thread(target=_forward, args=(near, path), daemon=True).start()


def _forward(near: socket.socket, path: str) -> None:
    """Copy both ways until either end closes."""
    with near, socket.socket(socket.AF_UNIX) as far:
        far.connect(path)
        ends = {near: far, far: near}
        with contextlib.suppress(OSError):
            while True:
                for source in select.select(list(ends), [], [])[0]:
                    if not (data := source.recv(65536)):
                        return
                    ends[source].sendall(data)
