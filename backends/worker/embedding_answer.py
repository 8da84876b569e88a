"""`POST /v1/embeddings` at a worker: from the body to the vectors in OpenAI's words."""

from __future__ import annotations

import base64
import sys
from array import array
from http import HTTPStatus

import msgspec
from litestar.types import Receive, Scope, Send

from backends.protocol import Embedding, EmbeddingReply, EmbeddingRequest, EmbeddingUsage
from backends.worker.errors import RequestError
from backends.worker.messages import Embedded
from backends.worker.parse import decode
from backends.worker.respond import send_error, send_json, while_connected
from backends.worker.service import Service

__all__ = ("EmbeddingAnswer", "parse_embeddings")

_FLOAT_BYTES = 4
_decoder = msgspec.json.Decoder(EmbeddingRequest)
_encode = msgspec.json.Encoder().encode


def parse_embeddings(body: bytes) -> EmbeddingRequest:
    """Read the body strictly.

    Raises:
        RequestError: It is malformed, or an input is empty; names the field.
    """
    request = decode(body, _decoder)
    for number, text in enumerate(request.texts):
        if not text:
            raise RequestError(f"input[{number}] is empty: expected text", param="input")
    return request


class EmbeddingAnswer:
    """An ASGI response that is computed while somebody waits for it."""

    def __init__(self, service: Service, request: EmbeddingRequest) -> None:
        self._service = service
        self._request = request

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or be cancelled by a disconnect."""
        await while_connected(receive, self._answer(send))

    async def _answer(self, send: Send) -> None:
        try:
            embedded = await self._service.embed(self._request.texts)
            body = _encode(_reply(embedded, self._request, model=self._service.spec.name))
        except RequestError as error:
            await send_error(send, error)
        else:
            await send_json(send, HTTPStatus.OK, body)


def _reply(embedded: Embedded, request: EmbeddingRequest, *, model: str) -> EmbeddingReply:
    if request.dimensions not in (None, embedded.width):
        raise RequestError(
            f"dimensions is {request.dimensions}; vectors of {model} have {embedded.width} and cannot be shortened: "
            "leave it out",
            param="dimensions",
        )
    size_bytes = embedded.width * _FLOAT_BYTES
    parts = [embedded.vectors[at : at + size_bytes] for at in range(0, len(embedded.vectors), size_bytes)]
    form = _base64 if request.encoding_format == "base64" else _numbers
    return EmbeddingReply(
        data=[Embedding(index=number, embedding=form(part)) for number, part in enumerate(parts)],
        model=model,
        usage=EmbeddingUsage(prompt_tokens=embedded.prompt_tokens, total_tokens=embedded.prompt_tokens),
    )


def _numbers(vector: bytes) -> list[float]:
    return array("f", vector).tolist()


def _base64(vector: bytes) -> str:
    """The format is little-endian, whatever the machine."""
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode("ascii")
