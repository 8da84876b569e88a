"""The gateway's live view of the variants: what each is, how it stands, and the client that reaches it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from backends.client import Endpoint, VariantClient
from backends.errors import AuthenticationError, BackendError, ConnectError
from backends.models.manifest import Card
from backends.models.store import Store
from backends.supervisor.control import ControlClient
from backends.types import Engine, Variant, VariantStatus, WorkerState
from gateway.environment import MissingVariableError, from_environment
from gateway.routing.health import Health

__all__ = ("Catalogue", "VariantView")

POLL_S = 0.25
"""How old the reported load may be; requests of this process are counted at once."""

WARM_UP_S = 120.0
"""Longest wait for a variant that is started in the background."""

WARM_UP_REST_S = 5.0
"""After a start in the background that failed, none is tried for so long."""

CLOSE_S = 1.0
"""Requests have ended, or were cut, before the catalogue closes; one that has not must not hold up the process."""

logger = logging.getLogger(__name__)


class VariantView(msgspec.Struct, frozen=True, kw_only=True):
    """One variant as it stood at the last look."""

    variant: Variant
    status: VariantStatus
    card: Card | None = None
    in_flight: int = 0
    """Requests this process has at it."""
    others_in_flight: int = 0
    """Requests other replicas have at it, where it is a server they share; about a second old."""
    guests: int = 0
    """Work this process has at it that gives way to requests; the load reported counts it."""
    shut_s: float | None = None
    """Seconds for which its circuit stays open, 0 while it is being probed; None where it may be called."""


class Catalogue:
    """All variants of the configuration, refreshed from the supervisor while `watch` runs."""

    def __init__(
        self, variants: Sequence[Variant], *, control: ControlClient, store: Store, health: Health | None = None
    ) -> None:
        self.health = health or Health()
        """How the variants answer; calls feed it."""
        self._variants = {variant.name: variant for variant in variants}
        self.generators = frozenset(variant.name for variant in variants if not variant.embeds_only)
        """Variants that generate text; the others only embed it."""
        self.others_in_flight: Mapping[str, int] = {}
        """Requests other replicas have at remote variants; whoever hears of them puts them here."""
        self._control = control
        self._store = store
        self._status = {
            name: VariantStatus(name=name, state=_initial_state(variant)) for name, variant in self._variants.items()
        }
        self._cards: dict[str, Card | None] = {}
        self._in_flight: Counter[str] = Counter()
        self._guests: dict[asyncio.Task[Any], str] = {}
        self._clients: dict[str, VariantClient] = {}
        self._closing: dict[asyncio.Task[None], VariantClient] = {}
        self._starting: dict[str, asyncio.Task[None]] = {}

    @property
    def names(self) -> list[str]:
        """Names of all variants, in configuration order."""
        return list(self._variants)

    def view(self, name: str) -> VariantView:
        """One variant as known now.

        Raises:
            KeyError: No variant has this name.
        """
        return VariantView(
            variant=self._variants[name],
            status=self._status[name],
            card=self._cards.get(name),
            in_flight=self._in_flight[name],
            others_in_flight=self.others_in_flight.get(name, 0),
            guests=sum(place == name for place in self._guests.values()),
            shut_s=self.health.shut_s(name),
        )

    def views(self) -> list[VariantView]:
        """All variants as known now."""
        return [self.view(name) for name in self._variants]

    @contextlib.contextmanager
    def lease(self, name: str) -> Iterator[VariantClient]:
        """The client that reaches a variant; it stays open until the lease ends, whatever happens to the worker.

        Raises:
            ConnectError: The variant has no running worker.
            AuthenticationError: The environment lacks its key.
        """
        client = self._client(name)
        self._in_flight[name] += 1
        for guest, place in self._guests.items():
            if self._share(name, place):
                guest.cancel()
        try:
            yield client
        finally:
            self._in_flight[name] -= 1

    @contextlib.contextmanager
    def borrow(self, name: str) -> Iterator[VariantClient]:
        """The client, for work that gives way: the task in the block is cancelled once a request may suffer from it.

        Raises:
            ConnectError: The variant has no running worker.
            AuthenticationError: The environment lacks its key.
        """
        task = asyncio.current_task()
        assert task is not None
        client = self._client(name)
        self._guests[task] = name
        try:
            yield client
        finally:
            del self._guests[task]

    def idle(self, name: str) -> bool:
        """Whether a variant is warm, and no request is at work where it runs, on this machine or on its server."""
        if self._status[name].state is not WorkerState.WARM:
            return False
        return not any(_busy(view) for view in self.views() if self._share(name, view.variant.name))

    async def start(self, name: str, *, timeout_s: float) -> None:
        """Have a cold or loading variant ready; returns at once for a warm one.

        Raises:
            BackendError: It did not become ready in time.
        """
        if self._status[name].state is not WorkerState.WARM:
            self._status[name] = await self._control.start(name, timeout_s=timeout_s)

    async def stop(self, name: str) -> None:
        """Have a variant's worker stopped after its requests; it stays stopped until it is started.

        Raises:
            BackendError: The supervisor could not.
        """
        self._status[name] = await self._control.stop(name)

    def warm_up(self, name: str) -> None:
        """Have a cold variant started in the background, for whoever cannot wait; returns at once."""
        if self._status[name].state is not WorkerState.WARM and name not in self._starting:
            task = self._starting[name] = asyncio.create_task(self._start_quietly(name))
            task.add_done_callback(lambda _: self._starting.pop(name))

    async def refresh(self) -> None:
        """Ask the supervisor once, and read the cards of builds that are new."""
        for status in await self._control.variants():
            if status.name in self._variants:
                self._note(status)
        self._cards |= await asyncio.to_thread(self._read_cards)

    async def watch(self) -> None:
        """Refresh for ever; what goes wrong leaves the last view standing, and is told once until it changes."""
        trouble = ""
        while True:
            try:
                await self.refresh()
                now = ""
            except Exception as error:  # noqa: BLE001 - a view that is never refreshed again would be worse
                now = f"{type(error).__name__}: {error}"
            if now != trouble:
                logger.warning("the supervisor cannot be followed: %s", now or "it can again")
                trouble = now
            await asyncio.sleep(POLL_S)

    async def aclose(self) -> None:
        """Close every connection; what is still in use is cut after `CLOSE_S`."""
        starting = list(self._starting.values())
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        clients = [*self._clients.values(), *self._closing.values()]
        await asyncio.gather(*(client.aclose(grace_s=CLOSE_S) for client in clients), *self._closing)
        await self._control.aclose()

    async def _start_quietly(self, name: str) -> None:
        try:
            await self.start(name, timeout_s=WARM_UP_S)
        except BackendError as error:
            logger.warning("%s cannot be started: %s", name, error)
            await asyncio.sleep(WARM_UP_REST_S)  # Who asks next is not to ask at once again.

    def _note(self, status: VariantStatus) -> None:
        """Take a status; what a worker did is not held against the one that takes its place."""
        before, self._status[status.name] = self._status[status.name], status
        if status.state is WorkerState.WARM and status.socket_path != before.socket_path:
            self.health.forget(status.name)

    def _share(self, one: str, other: str) -> bool:
        """Whether two variants work with the same means: local ones all share this machine."""
        return one == other or not {self._variants[one].engine, self._variants[other].engine} & {Engine.OPENAI}

    def _read_cards(self) -> dict[str, Card | None]:
        manifests = {n: self._store.current(n) for n, v in self._variants.items() if v.engine is not Engine.OPENAI}
        return {name: manifest.card if manifest else None for name, manifest in manifests.items()}

    def _client(self, name: str) -> VariantClient:
        endpoint = self._endpoint(name)
        client = self._clients.get(name)
        if client is None or client.endpoint != endpoint:
            if client is not None:
                self._retire(client)
            client = self._clients[name] = VariantClient(endpoint)
        return client

    def _endpoint(self, name: str) -> Endpoint:
        variant, status = self._variants[name], self._status[name]
        if variant.engine is Engine.OPENAI:
            return Endpoint(model=variant.model or name, base_url=variant.source, api_key=_api_key(variant))
        if status.socket_path is None:
            raise ConnectError(f"variant `{name}` is {status.state}: {status.message or 'no worker runs'}")
        return Endpoint(model=name, socket_path=status.socket_path)

    def _retire(self, client: VariantClient) -> None:
        """Close a client once the requests it carries have ended."""
        task = asyncio.create_task(client.aclose())
        self._closing[task] = client
        task.add_done_callback(self._closing.pop)


def _api_key(variant: Variant) -> str | None:
    if variant.api_key is None:
        return None
    try:
        return from_environment(variant.api_key, key=f"api_key of variant `{variant.name}`")
    except MissingVariableError as error:
        raise AuthenticationError(str(error)) from None


def _busy(view: VariantView) -> bool:
    """Whether requests are at work; starting takes as much."""
    load = view.status.load
    reported = load.running + load.queued - view.guests if load else 0
    return view.in_flight + view.others_in_flight > 0 or reported > 0 or view.status.state is WorkerState.LOADING


def _initial_state(variant: Variant) -> WorkerState:
    return WorkerState.WARM if variant.engine is Engine.OPENAI else WorkerState.MISSING
