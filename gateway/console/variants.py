"""The variants: how each stands and measured, and the buttons that start and stop the local ones."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect

from backends.errors import BackendError
from gateway.api.access import principal
from gateway.console.access import FRAGMENT, PAGE
from gateway.console.render import fragment, page
from gateway.console.variant_views import VariantCard, variant_card
from gateway.errors import InvalidRequestError, NotFoundError, UnavailableError
from gateway.services import Services

__all__ = ("confirm_stop", "start_variant", "stop_variant", "variant_list", "variants")

Asked = Request[Any, Any, State]

STOP_PATIENCE_S = 5.0
"""A page does not wait longer for a worker that finishes its requests; it goes on stopping."""

FLASHES = {
    "starting": ("", "`{name}` is being started; this page follows."),
    "stopped": ("good", "`{name}` was stopped. It stays stopped until it is started, here or by a request."),
    "stopping": ("", "`{name}` finishes its requests and then stops."),
}
"""What may be told after a form was sent, by the word in the address; nothing else in it is shown."""

logger = logging.getLogger(__name__)


@get("/variants", opt=PAGE)
async def variants(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """All of them, in the order of the configuration."""
    return page(request, "variants.html", here="variants", flash=_flash(request, services), **await _cards(services))


@get("/variants/list", opt=FRAGMENT)
async def variant_list(request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """The same, to take the place of what is shown."""
    return fragment(request, "variants_list.html", **await _cards(services))


@get("/variants/{name:str}/stop", opt=PAGE)
async def confirm_stop(name: FromPath[str], request: Asked, services: NamedDependency[Services]) -> Response[str]:
    """Ask whether it is meant, and say what follows from it."""
    card, warm = await _card(services, name), services.catalogue.view(name).variant.warm
    if not card.can_stop:
        raise InvalidRequestError(f"`{name}` is {card.state}: there is nothing to stop")
    return page(request, "variant_stop.html", here="variants", card=card, warm=warm)


@post("/variants/{name:str}/start", opt=PAGE, status_code=303)
async def start_variant(name: FromPath[str], request: Asked, services: NamedDependency[Services]) -> Response[Any]:
    """Have it started; that goes on after the answer."""
    card = await _card(services, name)
    if not card.can_start:
        raise InvalidRequestError(f"`{name}` is {card.state}: it cannot be started now")
    logger.info("key %s starts variant %s", principal(request).key_id or "loopback", name)
    services.catalogue.warm_up(name)
    return _back(name, "starting")


@post("/variants/{name:str}/stop", opt=PAGE, status_code=303)
async def stop_variant(name: FromPath[str], request: Asked, services: NamedDependency[Services]) -> Response[Any]:
    """Have it stopped after its requests."""
    card = await _card(services, name)
    if not card.can_stop:
        raise InvalidRequestError(f"`{name}` is {card.state}: there is nothing to stop")
    logger.info("key %s stops variant %s", principal(request).key_id or "loopback", name)
    try:
        async with asyncio.timeout(STOP_PATIENCE_S):
            await services.catalogue.stop(name)
    except TimeoutError:
        return _back(name, "stopping")  # The supervisor goes on without anybody waiting.
    except BackendError as error:
        raise UnavailableError(f"`{name}` could not be stopped: {error}") from error
    return _back(name, "stopped")


async def _cards(services: Services) -> dict[str, Any]:
    hour = await services.console.hour.get()
    return {"cards": [variant_card(view, hour) for view in services.catalogue.views()]}


async def _card(services: Services, name: str) -> VariantCard:
    if name not in services.catalogue.names:
        raise NotFoundError(f"variant `{name}` does not exist")
    return variant_card(services.catalogue.view(name), await services.console.hour.get())


def _back(name: str, word: str) -> Response[Any]:
    return Redirect(f"/console/variants?{word}={name}#{name}", status_code=303)


def _flash(request: Asked, services: Services) -> dict[str, str] | None:
    for word, (tone, text) in FLASHES.items():
        if (name := request.query_params.get(word)) in services.catalogue.names:
            return {"tone": tone, "text": text.format(name=name)}
    return None
