"""An OpenAI-compatible server that replays recorded answers at the pace of the models that gave them."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec
import uvicorn

from backends.protocol import (
    AssistantMessage,
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChunkChoice,
    Delta,
    ErrorBody,
    ErrorReply,
    FinishReason,
    Message,
    StreamOptions,
    Usage,
)
from backends.sse import DONE, encode_event
from gateway.demo.recordings import MODELS, RecordedAnswer, RecordedTask, ReplayedModel

__all__ = ("ReplayApp", "replaying")

MAX_BODY_BYTES = 256 * 1024

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class _Asked(msgspec.Struct, frozen=True):
    """What matters of a chat request here; the rest is ignored."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None


class _RefusedError(Exception):
    """A request that cannot be answered."""

    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ReplayApp:
    """The ASGI application: `/v1/chat/completions`, `/v1/models` and `/health`.

    Args:
        tasks: The recordings; a request is answered by the prompt of its last message.
        speed: How many times as fast as they were recorded.
    """

    def __init__(self, tasks: Sequence[RecordedTask], *, speed: float = 1.0) -> None:
        self._tasks = {task.prompt: task for task in tasks}
        self._speed = speed
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            match scope["method"], scope["path"]:
                case "GET", "/health":
                    await _send_json(send, {"status": "ok"})
                case "GET", "/v1/models":
                    models = [{"id": name, "object": "model", "owned_by": "recorded"} for name in MODELS]
                    await _send_json(send, {"object": "list", "data": models})
                case "POST", "/v1/chat/completions":
                    await self._chat(_asked(await _body(receive)), send)
                case method, path:
                    await _refuse(send, _RefusedError(404, f"there is no {method} {path} here", "not_found"))
        except _RefusedError as error:
            await _refuse(send, error)

    async def _chat(self, asked: _Asked, send: Send) -> None:
        model, task = self._recorded(asked)
        reply = f"replay-{next(self._numbers)}"
        if asked.stream:
            with_usage = asked.stream_options is not None and asked.stream_options.include_usage
            await self._stream(send, model, task, reply=reply, with_usage=with_usage)
            return
        answer = task.answers[model.name]
        await asyncio.sleep(model.latency_s(answer) / self._speed)
        choice = ChatChoice(message=AssistantMessage(content=answer.text), finish_reason=_ending(task, answer))
        whole = ChatCompletion(id=reply, created=0, model=model.name, choices=[choice], usage=_usage(answer))
        await _send_json(send, whole)

    def _recorded(self, asked: _Asked) -> tuple[ReplayedModel, RecordedTask]:
        model = MODELS.get(asked.model)
        if model is None:
            raise _RefusedError(
                404, f"there is no model `{asked.model}`; known: {', '.join(MODELS)}", "model_not_found"
            )
        task = self._tasks.get(asked.messages[-1].text) if asked.messages else None
        if task is None:
            text = f"no answer to this prompt is recorded; this server replays answers to {len(self._tasks)} prompts"
            raise _RefusedError(400, text, "prompt_not_recorded")
        return model, task

    async def _stream(
        self, send: Send, model: ReplayedModel, task: RecordedTask, *, reply: str, with_usage: bool
    ) -> None:
        answer = task.answers[model.name]
        clock = asyncio.get_running_loop().time
        began_s = clock()
        headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, piece in enumerate(_pieces(answer)):
            due_s = (model.ttft_s(answer) + number * model.token_s) / self._speed
            await asyncio.sleep(max(0.0, began_s + due_s - clock()))
            await _send_chunk(send, reply, model.name, [ChunkChoice(delta=Delta(content=piece))])
        await _send_chunk(send, reply, model.name, [ChunkChoice(finish_reason=_ending(task, answer))])
        if with_usage:
            await _send_chunk(send, reply, model.name, [], usage=_usage(answer))
        await send({"type": "http.response.body", "body": DONE})


@asynccontextmanager
async def replaying(tasks: Sequence[RecordedTask], *, speed: float = 1.0) -> AsyncIterator[str]:
    """Serve the recordings on a free port of the loopback; gives the URL."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    config = uvicorn.Config(
        ReplayApp(tasks, speed=speed),
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving
        listening.close()


class _Server(uvicorn.Server):
    """A server that leaves signals to the program around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers."""
        yield


def _asked(body: bytes) -> _Asked:
    try:
        return msgspec.json.decode(body, type=_Asked)
    except msgspec.MsgspecError as error:
        raise _RefusedError(400, f"the body is no chat request: {error}", "invalid_body") from None


def _pieces(answer: RecordedAnswer) -> Iterator[str]:
    """The text in as many pieces as it had tokens, cut evenly; a piece of a very short text may be empty."""
    length, tokens = len(answer.text), answer.completion_tokens
    for number in range(tokens):
        yield answer.text[length * number // tokens : length * (number + 1) // tokens]


def _ending(task: RecordedTask, answer: RecordedAnswer) -> FinishReason:
    return "length" if answer.completion_tokens >= task.max_tokens else "stop"


def _usage(answer: RecordedAnswer) -> Usage:
    total = answer.prompt_tokens + answer.completion_tokens
    return Usage(prompt_tokens=answer.prompt_tokens, completion_tokens=answer.completion_tokens, total_tokens=total)


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise _RefusedError(413, f"the body is larger than {MAX_BODY_BYTES} bytes", "body_too_large")
        if not message.get("more_body"):
            return bytes(body)


async def _refuse(send: Send, error: _RefusedError) -> None:
    body = ErrorBody(message=str(error), type="invalid_request_error", code=error.code)
    await _send_json(send, ErrorReply(error=body), status=error.status)


async def _send_json(send: Send, value: object, *, status: int = 200) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(value)})


async def _send_chunk(
    send: Send, reply: str, model: str, choices: list[ChunkChoice], *, usage: Usage | None = None
) -> None:
    chunk = ChatChunk(id=reply, created=0, model=model, choices=choices)
    if usage is not None:
        chunk.usage = usage
    event = encode_event(msgspec.json.encode(chunk))
    await send({"type": "http.response.body", "body": event, "more_body": True})
