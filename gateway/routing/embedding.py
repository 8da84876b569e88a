"""Vectors of texts: for the callers of `/v1/embeddings`, and for the gateway's own use."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from backends.client import Timeouts
from backends.errors import BackendError, ConnectError, ContextLengthError, ProtocolError
from backends.protocol import EmbeddingReply, EmbeddingRequest, Usage
from backends.types import Variant, WorkerState
from gateway.errors import InvalidRequestError, from_backend
from gateway.ledger.bound import bound
from gateway.ledger.ledger import Ledger
from gateway.limits.limiter import Limiter
from gateway.routing.attempting import paid, recorded, started
from gateway.routing.attempts import Call
from gateway.routing.call import onward
from gateway.routing.catalogue import Catalogue
from gateway.routing.exchange import Exchange
from gateway.routing.request import Route
from gateway.settings import ServerSettings

__all__ = ("Embeddings", "embed")

Vector = NDArray[np.float32]

_PATH = Route.EMBEDDINGS.path
_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(EmbeddingReply)
_answer_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_usage_decoder = msgspec.json.Decoder(Usage | None)


async def embed(catalogue: Catalogue, variant: str, text: str, *, timeout_s: float) -> Vector:
    """The vector of one text, for work that cannot wait: a variant that is cold is started for later calls.

    What becomes of these calls says nothing of the variant's health, since their time may be very short.

    Raises:
        BackendError: There is none in time.
    """
    view = catalogue.view(variant)
    if view.status.state is not WorkerState.WARM:
        catalogue.warm_up(variant)
        raise ConnectError(f"{variant} is {view.status.state}: it is being started")
    if view.shut_s is not None:
        raise ConnectError(f"{variant} has failed: it is left alone for {view.shut_s:.1f} s")
    with catalogue.lease(variant) as client:
        body = _encode({"model": client.endpoint.model, "input": text, "encoding_format": "base64"})
        timeouts = Timeouts(connect_s=timeout_s, total_s=timeout_s)
        return _vector(await client.request(_PATH, body, timeouts=timeouts))


def _vector(reply: bytes) -> Vector:
    """The one vector of an answer; a server may send numbers although it was asked for base64."""
    try:
        [entry] = _decoder.decode(reply).data
        if isinstance(entry.embedding, str):
            return np.frombuffer(base64.b64decode(entry.embedding, validate=True), dtype="<f4")
        return np.array(entry.embedding, dtype=np.float32)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ProtocolError(f"the vector cannot be read: {error}") from None


class Embeddings:
    """Answers `/v1/embeddings`: quotas, money and breakers as for every call, but nothing to decide.

    No other variant takes over from one that fails: vectors of two models cannot be compared.
    """

    def __init__(self, *, catalogue: Catalogue, limiter: Limiter, ledger: Ledger, settings: ServerSettings) -> None:
        self._catalogue = catalogue
        self._limiter = limiter
        self._ledger = ledger
        self._settings = settings

    async def answer(self, exchange: Exchange, body: EmbeddingRequest, variant: str) -> bytes:
        """The variant's answer, under the variant's name.

        Raises:
            ApiError: There is none.
        """
        with exchange.stage("limits"):
            await self._limiter.admit(exchange)
        stated = self._catalogue.view(variant).variant
        try:
            return await self._attempt(exchange, stated, body)
        except ContextLengthError as error:
            raise InvalidRequestError(str(error), param="input", code=error.error_type) from error
        except BackendError as error:
            raise from_backend(error) from error

    async def _attempt(self, exchange: Exchange, variant: Variant, body: EmbeddingRequest) -> bytes:
        """Set the money aside that it costs at most, start the variant where it has to be, and ask it."""
        remaining_s = self._remaining_s(exchange)
        with exchange.stage("reserve"):
            most = bound(exchange.tenant, variant, exchange.request, predicted_s=0.0, remaining_s=remaining_s)
            hold = await self._ledger.hold(exchange.tenant, most.usd)
        call = Call(variant=variant.name, engine=variant.engine)
        with recorded(exchange, call, hold), self._catalogue.health.watch(variant.name) as watch:
            start_s = min(self._remaining_s(exchange), self._settings.start_timeout_s)
            await started(exchange, call, self._catalogue, timeout_s=start_s)
            with paid(exchange, call, variant, most_s=most.seconds):
                answer = await self._call(exchange, call, body, total_s=most.seconds)
            watch.answered()
            return answer

    async def _call(self, exchange: Exchange, call: Call, body: EmbeddingRequest, *, total_s: float) -> bytes:
        assert call.variant is not None
        total_s = min(total_s, self._remaining_s(exchange))
        timeouts = Timeouts(total_s=total_s, idle_s=self._settings.idle_timeout_s)
        with self._catalogue.lease(call.variant) as client, exchange.stage("embed", within=call.span):
            payload: dict[str, Any] = msgspec.to_builtins(body) | {"model": client.endpoint.model}
            reply = await client.request(_PATH, _encode(payload), timeouts=timeouts, headers=onward(exchange, call))
        # Raw values: the vectors are passed on without being decoded.
        answer: dict[str, Any] = _answer_decoder.decode(reply) | {"model": call.variant}
        call.usage = _usage(answer.get("usage"))
        return _encode(answer)

    def _remaining_s(self, exchange: Exchange) -> float:
        return max(0.0, self._settings.request_timeout_s - exchange.elapsed_s)


def _usage(stated: msgspec.Raw | None) -> Usage:
    """What the server counted; a server that counts nothing is not a failure."""
    try:
        return (_usage_decoder.decode(stated) if stated else None) or Usage()
    except msgspec.MsgspecError:
        return Usage()
