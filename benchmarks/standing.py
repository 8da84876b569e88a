"""What benchmarks of a gateway over scripted servers share: such a server, and waiting until the gateway answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

__all__ = ("answering", "until_ready")

STARTS_WITHIN_S = 60


@asynccontextmanager
async def answering(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """The URL of a server that answers chat requests so; it stops working on those whose caller has left."""
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def until_ready(url: str) -> None:
    """Wait until a gateway says that it can answer."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(STARTS_WITHIN_S):
        while True:
            try:
                async with session.get(f"{url}/readyz") as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)
