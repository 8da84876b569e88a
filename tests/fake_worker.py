"""A worker without a model, run as a real process: `python tests/fake_worker.py [OPTION...]`.

It reads its `WorkerSpec` like the real one and speaks the same protocol; what goes wrong is given by a JSON object in
`<model_path>/script.json`, read at each start: load_s, exit_code, die_after_s, hang_after_s, stubborn, tokens_s,
resident_bytes, idle_s. Its process id is appended to `<name>.starts` beside its socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from aiohttp import web

from backends.lifeline import follow_parent

ENDED = asyncio.Event()


class FakeWorker:
    def __init__(self, spec: dict[str, Any], script: dict[str, Any]) -> None:
        self.spec = spec
        self.script = script
        self.started_s = time.monotonic()
        self.running = 0
        self.ended_s = time.monotonic()
        self.draining = False

    def state(self) -> str:
        if self.draining:
            return "draining"
        return "warm" if time.monotonic() - self.started_s >= self.script.get("load_s", 0) else "loading"

    async def healthz(self, request: web.Request) -> web.Response:
        state = self.state()
        return web.json_response({"state": state}, status=200 if state == "warm" else 503)

    async def load(self, request: web.Request) -> web.Response:
        hang_after_s = self.script.get("hang_after_s")
        if hang_after_s is not None and time.monotonic() - self.started_s > hang_after_s:
            await asyncio.sleep(3600)
        idle_s = 0.0 if self.running else time.monotonic() - self.ended_s
        return web.json_response(
            {
                "state": self.state(),
                "running": self.running,
                "max_running": self.spec["max_running"],
                "resident_bytes": self.script.get("resident_bytes", 1000),
                "idle_s": self.script.get("idle_s", idle_s),
            }
        )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        if self.state() != "warm":
            return web.json_response({"error": {"message": self.state()}}, status=503)
        self.running += 1
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            for number in range(5):
                finish = "stop" if number == 4 else None
                choice = {"index": 0, "delta": {"content": self.spec["model_path"]}, "finish_reason": finish}
                await response.write(b"data: %s\n\n" % json.dumps({"choices": [choice]}).encode())
                await asyncio.sleep(self.script.get("tokens_s", 0) / 5)
            await response.write(b"data: [DONE]\n\n")
        finally:
            self.running -= 1
            self.ended_s = time.monotonic()
        return response

    def terminate(self) -> None:
        if self.script.get("stubborn"):
            return
        self.draining = True
        ENDED.set()

    async def serve(self) -> None:
        app = web.Application()
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/load", self.load)
        app.router.add_post("/v1/chat/completions", self.chat)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        await web.UnixSite(runner, self.spec["socket_path"]).start()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.terminate)
        if "die_after_s" in self.script:
            asyncio.get_running_loop().call_later(self.script["die_after_s"], os._exit, 9)
        await ENDED.wait()
        while self.running:
            await asyncio.sleep(0.01)
        await runner.cleanup()


def main() -> None:
    spec = json.loads(sys.stdin.buffer.readline())
    follow_parent()
    path = Path(spec["model_path"]) / "script.json"
    script = json.loads(path.read_text()) if path.exists() else {}
    with (Path(spec["socket_path"]).parent / f"{spec['name']}.starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    sys.stderr.write(f"serving {spec['name']} from {spec['model_path']}\n")
    sys.stderr.flush()
    if "exit_code" in script:
        sys.stderr.write("the model file is corrupt\n")
        sys.exit(script["exit_code"])
    asyncio.run(FakeWorker(spec, script).serve())


if __name__ == "__main__":
    main()
