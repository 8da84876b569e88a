"""The text that Prometheus reads: of this process, and of those that share its port.

A scrape reaches one of the processes that listen on a port. That one asks the others over their sockets, for a moment
only, and tells whose each sample is by the label `process`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from backends.sockets import short_socket_path

__all__ = ("Exposition",)

SIBLING_S = 1.0
"""Longest wait for another process."""


SIGN = "metrics-of-"
"""Begins the name of the file by which a process lets others know of it: sockets may be somewhere shorter."""


class _Told:
    """Families that are there already, for an encoder."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> list[Metric]:
        return self._families


class Exposition:
    """What one process tells, and through it all that share its port."""

    def __init__(
        self,
        registry: CollectorRegistry,
        live: Collector,
        *,
        directory: Path,
        process: str,
        settle: Callable[[], None],
    ) -> None:
        """Prepare; nobody is told anything yet.

        Args:
            registry: What is counted.
            live: What is read when it is asked for.
            directory: Where processes that share the port find each other.
            process: Names this one.
            settle: Has everything counted that has happened.
        """
        self._settle = settle
        self._registry = registry
        self._live = live
        self._directory = directory
        self._process = process

    async def text(self, accept: str) -> tuple[bytes, str]:
        """The text in the form that is wanted, and its content type."""
        live = self._now()
        others = await self._siblings()
        return await asyncio.to_thread(self._encoded, live, others, accept)

    @asynccontextmanager
    async def told_to_siblings(self) -> AsyncGenerator[None, None]:
        """Answer the other processes while the block runs."""
        self._directory.mkdir(parents=True, exist_ok=True)
        sign = self._directory / f"{SIGN}{self._process}"
        path = _socket(sign)
        path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._tell, path)
        sign.touch()
        try:
            yield
        finally:
            server.close()
            for file in (sign, path):
                await asyncio.to_thread(file.unlink, missing_ok=True)

    async def _tell(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            live = self._now()
            text, _content_type = await asyncio.to_thread(self._encoded, live, (), CONTENT_TYPE_LATEST)
            writer.write(text)
            await writer.drain()
        writer.close()

    def _now(self) -> list[Metric]:
        """On the loop's thread, which is the one that changes what is read."""
        self._settle()
        return list(self._live.collect())

    async def _siblings(self) -> list[str]:
        own = f"{SIGN}{self._process}"
        signs = await asyncio.to_thread(lambda: sorted(self._directory.glob(f"{SIGN}*")))
        found = await asyncio.gather(*(_asked(_socket(sign)) for sign in signs if sign.name != own))
        return [text for text in found if text is not None]

    def _encoded(self, live: Iterable[Metric], others: Iterable[str], accept: str) -> tuple[bytes, str]:
        own = _labelled([*self._registry.collect(), *live], process=self._process)
        families = _merged([own, *(_parsed(text) for text in others)])
        if accept == CONTENT_TYPE_LATEST:
            return generate_latest(_Told(families)), accept  # type: ignore[no-untyped-call]
        encode, content_type = choose_encoder(accept)
        return encode(_Told(families)), content_type


def _labelled(families: Iterable[Metric], *, process: str) -> Iterator[Metric]:
    for family in families:
        told = Metric(family.name, family.documentation, family.type, family.unit)
        told.samples = [sample._replace(labels=sample.labels | {"process": process}) for sample in family.samples]
        yield told


def _parsed(text: str) -> Iterator[Metric]:
    yield from text_string_to_metric_families(text)  # type: ignore[no-untyped-call]


def _merged(processes: Iterable[Iterable[Metric]]) -> list[Metric]:
    """Each family once, with the samples of all."""
    found: dict[str, Metric] = {}
    for families in processes:
        for family in families:
            kept = found.setdefault(family.name, family)
            if kept is not family:
                kept.samples += family.samples
    for family in found.values():
        family.samples.sort(key=_grouping)
    return list(found.values())


def _grouping(sample: Sample) -> tuple[str, ...]:
    """Samples of one label set stay together, in the order they came in, as OpenMetrics has it."""
    labels = sample.labels
    return tuple(f"{name}={labels[name]}" for name in sorted(labels) if name not in {"le", "quantile"})


def _socket(sign: Path) -> Path:
    return short_socket_path(sign.with_name(f"{sign.name.removeprefix(SIGN)}.sock"))


async def _asked(path: Path) -> str | None:
    """What another process tells; None where it is gone or silent."""
    try:
        async with asyncio.timeout(SIBLING_S):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return (await reader.read()).decode()
            finally:
                writer.close()
    except (OSError, TimeoutError, UnicodeDecodeError):
        return None
