"""How a request is carried out and ended, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from litestar import Request, Response
from litestar.datastructures import State

from gateway.api.event_stream import ClientDisconnectedError, until_disconnect
from gateway.api.headers import response_headers
from gateway.decisions.types import Ending
from gateway.errors import ApiError, InternalError, RestartingError
from gateway.routing.exchange import Exchange
from gateway.services import Services

__all__ = ("CLIENT_CLOSED", "carried_out", "ending_of")

CLIENT_CLOSED = 499
"""Status recorded where the client is no longer there to read it."""


async def carried_out(
    request: Request[Any, Any, State],
    services: Services,
    exchange: Exchange,
    work: Coroutine[Any, Any, Response[Any]],
) -> Response[Any]:
    """The response that `work` makes, which then has the exchange's ending as its duty; every failure ends it here.

    Raises:
        ApiError: As `work` does, with the headers that say what was tried.
    """
    try:
        async with services.drain.bound():
            return await until_disconnect(request.receive, work)
    except ClientDisconnectedError:
        exchange.end(Ending.CANCELLED)
        return Response(b"", status_code=CLIENT_CLOSED)
    except ApiError as error:
        exchange.end(ending_of(error), error_type=error.error_type)
        error.headers |= response_headers(exchange, when="whole")
        raise
    except Exception:
        exchange.end(Ending.FAILED, error_type=InternalError.error_type)
        raise
    except BaseException:
        exchange.end(services.interrupted())
        raise


def ending_of(error: ApiError) -> Ending:
    """How a request ended that ended in this error: we may have stopped it, else it failed."""
    return Ending.STOPPED if isinstance(error, RestartingError) else Ending.FAILED
