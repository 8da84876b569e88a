"""A gateway of its own process, over a provider that gives every request what it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from aiohttp import web

from tests.chaos_tools import background, config_over
from tests.providers import Answer, ScriptedProvider, chat_events, completion_body
from tests.serving import Gateway, serving


class ObligingProvider(ScriptedProvider):
    """A stream to those who ask for one, with as many choices as they want; never a failure of its own."""

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = json.loads(await request.read())
        choices = (asked.get("n") or 1) * (len(asked["prompt"]) if isinstance(asked.get("prompt"), list) else 1)
        if not asked.get("stream"):
            return await self._reply(request, Answer(body=completion_body("fine")))
        events = [event for index in range(choices) for event in chat_events("fine", index=index)]
        return await self._reply(request, Answer(events=events))

    async def _reply(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        self.script = [answer]
        return await super()._answer(request)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`trilemma serve`; a module's tests share it, and none may break it."""
    directory = tmp_path_factory.mktemp("gateway")
    with (
        background(Answer(), kind=ObligingProvider) as provider,
        serving(directory / "no-models", directory / "var", config=config_over(provider)) as running,
    ):
        yield running
