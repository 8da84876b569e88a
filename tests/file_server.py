"""A loopback HTTP server of one file that misbehaves as told, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

__all__ = ("FileServer", "serving_file")


@dataclass(kw_only=True)
class FileServer:
    """What is served and how; tests change it while it serves."""

    content: bytes
    url: str = ""
    etag: str = '"one"'
    ranges: bool = True
    cuts: list[int] = field(default_factory=list)
    """How many body bytes each of the next answers sends before the connection is cut."""
    failures: list[int] = field(default_factory=list)
    """Status of each of the next answers, before anything is served."""
    seen: list[str | None] = field(default_factory=list)
    """The Range header of every request."""


@contextmanager
def serving_file(content: bytes, **options: Any) -> Iterator[FileServer]:
    """Serve on loopback for the length of the block."""
    state = FileServer(content=content, **options)
    handler = type("Handler", (_Handler,), {"state": state})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}/some%20model.gguf?download=true"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: ClassVar[FileServer]

    def do_GET(self) -> None:
        state, wanted = self.state, self.headers["Range"]
        state.seen.append(wanted)
        if state.failures:
            self.send_error(state.failures.pop(0))
            return
        begin = 0
        if wanted and state.ranges and self.headers["If-Range"] == state.etag:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if begin >= len(state.content):
                self.send_error(416)
                return
        body = state.content[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body)))
        if state.etag:
            self.send_header("ETag", state.etag)
        self.end_headers()
        self.wfile.write(body[: state.cuts.pop(0)] if state.cuts else body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
