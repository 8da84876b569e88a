"""For tests that break real processes: a provider that outlives the test's own event loop, callers side by side."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import openai
import psutil

from tests.providers import Answer, ScriptedProvider
from tests.serving import Gateway

__all__ = ("api_process", "ask", "ask_together", "background", "config_over", "until_true", "worker_of")


@contextmanager
def background(*script: Answer, kind: type[ScriptedProvider] = ScriptedProvider) -> Iterator[ScriptedProvider]:
    """A scripted provider that answers on a thread of its own."""
    provider = kind(*script)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(provider.__aenter__(), loop).result(5)
        yield provider
    finally:
        asyncio.run_coroutine_threadsafe(provider.__aexit__(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def config_over(*providers: ScriptedProvider, more: str = "") -> str:
    """A configuration with one remote variant per provider, the first the best: `v0`, `v1`, …"""
    price = "{prompt_per_mtok_usd: 1.0, completion_per_mtok_usd: 2.0}"
    variants = [
        f"  - {{name: v{number}, kind: remote, engine: openai, source: '{provider.base_url}',"
        f" quality: {0.9 - number / 10},"
        f" ttft_s: 0.1, tpot_s: 0.01, price: {price}}}"
        for number, provider in enumerate(providers)
    ]
    return "\n".join(["variants:", *variants, "policy: {epsilon: 0.0, priorities: {balanced: {accuracy: 1}}}", more])


def ask(gateway: Gateway, text: str = "hello", **fields: Any) -> str:
    """One whole answer's text, through the official client."""
    messages = [{"role": "user", "content": text}]
    with gateway.client(timeout=60) as client:
        answer = client.chat.completions.create(**{"model": "auto", "messages": messages, "max_tokens": 16} | fields)
    return answer.choices[0].message.content or ""


def ask_together(gateway: Gateway, count: int, **fields: Any) -> list[str | Exception]:
    """So many callers at once, each with a prompt of its own; an answer or what was raised."""

    def one(number: int) -> str | Exception:
        try:
            return ask(gateway, f"hello {number}", **fields)
        except openai.OpenAIError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def worker_of(gateway: Gateway, variant: str) -> psutil.Process:
    """The worker process of a variant, found by the socket it listens on."""
    for child in psutil.Process(gateway.process.pid).children(recursive=True):
        if "backends.worker" in child.cmdline() and any(variant in c.laddr for c in child.net_connections("unix")):
            return child
    raise AssertionError(f"no worker of {variant}")


def api_process(gateway: Gateway) -> psutil.Process:
    """The process that answers HTTP."""
    children = psutil.Process(gateway.process.pid).children(recursive=True)
    return next(child for child in children if "gateway.server" in child.cmdline())


def until_true(condition: Callable[[], bool], *, within_s: float) -> None:
    """Wait for a condition."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        time.sleep(0.05)
