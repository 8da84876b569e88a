"""The vector of one text, for the gateway's own use."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.errors import BackendError, ConnectError, EngineError, ProtocolError, UpstreamTimeoutError
from backends.types import VariantStatus, WorkerState
from gateway.routing import catalogue as catalogue_module
from gateway.routing.embedding import embed
from tests.gateways import Fleet, local, opened, remote, until
from tests.providers import Answer, ScriptedProvider

NUMBERS = [0.6, -0.8, 0.0]
PACKED = base64.b64encode(np.array(NUMBERS, dtype="<f4").tobytes()).decode()


def reply(*vectors: Any) -> Answer:
    data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return Answer(body=json.dumps({"object": "list", "data": data, "model": "m", "usage": usage}).encode())


@pytest.mark.parametrize("vector", [PACKED, NUMBERS], ids=["base64", "numbers"])
async def test_a_vector_is_read_in_either_format(tmp_path: Path, vector: Any) -> None:
    async with ScriptedProvider(reply(vector)) as provider:
        async with opened(tmp_path, remote("e", provider, capabilities=["embeddings"], model="org/E")) as services:
            found = await embed(services.catalogue, "e", "hello", timeout_s=1.0)
        assert found.dtype == np.float32
        assert found.tolist() == pytest.approx(NUMBERS)
        sent = json.loads(provider.requests[0].body)
    assert sent == {"model": "org/E", "input": "hello", "encoding_format": "base64"}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(), ProtocolError),
        (reply(PACKED, PACKED), ProtocolError),
        (reply("!!!"), ProtocolError),
        (reply("AAA="), ProtocolError),
        (reply([1, "x"]), ProtocolError),
        (Answer(body=b'{"data": 1}'), ProtocolError),
        (Answer(refuses="reset"), BackendError),
        (Answer(first_after_s=5.0), UpstreamTimeoutError),
    ],
)
async def test_what_is_no_vector_in_time_is_a_backend_error(
    tmp_path: Path, answer: Answer, error: type[BackendError]
) -> None:
    async with (
        ScriptedProvider(answer) as provider,
        opened(tmp_path, remote("e", provider, capabilities=["embeddings"])) as services,
    ):
        with pytest.raises(error):
            await embed(services.catalogue, "e", "hello", timeout_s=0.2)
        assert services.catalogue.view("e").shut_s is None


async def test_a_cold_embedder_is_started_once_and_found_by_later_calls(tmp_path: Path) -> None:
    socket_path = tmp_path / "e.sock"
    warm = VariantStatus(name="e", state=WorkerState.WARM, socket_path=str(socket_path))
    fleet = Fleet({"e": VariantStatus(name="e", state=WorkerState.COLD)}, starts={"e": warm})
    async with (
        ScriptedProvider(reply(PACKED), socket_path=socket_path),
        opened(tmp_path, local("e", capabilities=["embeddings"]), fleet=fleet) as services,
    ):
        catalogue = services.catalogue
        for _ in range(5):
            with pytest.raises(ConnectError, match="it is being started"):
                await embed(catalogue, "e", "hello", timeout_s=0.2)
        await until(lambda: catalogue.view("e").status.state is WorkerState.WARM)
        assert fleet.asked == ["e"]
        assert len(await embed(catalogue, "e", "hello", timeout_s=1.0)) == 3


async def test_an_embedder_that_does_not_start_is_not_asked_to_with_every_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_module, "WARM_UP_REST_S", 0.2)
    fleet = Fleet({"e": VariantStatus(name="e", state=WorkerState.COLD)}, starts={"e": EngineError("broken")})
    async with opened(tmp_path, local("e", capabilities=["embeddings"]), fleet=fleet) as services:

        async def ask() -> None:
            with pytest.raises(ConnectError):
                await embed(services.catalogue, "e", "hello", timeout_s=0.2)

        for _ in range(10):
            await ask()
            await asyncio.sleep(0.005)
        assert fleet.asked == ["e"]
        await asyncio.sleep(0.25)
        await ask()
        await until(lambda: fleet.asked == ["e", "e"])
