"""The families of the catalogue as Prometheus' client has them, with labels bounded and looked up quickly."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from gateway.metrics.catalogue import FAMILIES, Family

__all__ = ("MAX_CHILDREN", "OTHER", "Metered")

MAX_CHILDREN = 2000
"""Label sets of one family; what comes later is counted under `other`."""

OTHER = "other"

_TYPES: Mapping[str, type[MetricWrapperBase]] = {"counter": Counter, "gauge": Gauge, "histogram": Histogram}


class Metered:
    """The families that are counted as requests end."""

    def __init__(self, names: frozenset[str], registry: CollectorRegistry) -> None:
        self._families = {f.name: _made(f, registry) for f in FAMILIES if f.name in names}
        self._children: dict[tuple[str, ...], Any] = {}
        self._counts: Counts[str] = Counts()

    def of(self, name: str, *labels: str) -> Any:  # noqa: ANN401 - a counter or a histogram of the client
        """The child of a family with these labels, or the one that stands for all others."""
        key = (name, *labels)
        found = self._children.get(key)
        if found is not None:
            return found
        family = self._families[name]
        if labels and self._counts[name] >= MAX_CHILDREN:
            return family.labels(*(OTHER for _ in labels))
        self._counts[name] += 1
        found = self._children[key] = family.labels(*labels) if labels else family
        return found


def _made(family: Family, registry: CollectorRegistry) -> MetricWrapperBase:
    options: dict[str, Any] = {"buckets": family.buckets} if family.buckets else {}
    return _TYPES[family.kind](family.name, family.text, family.labels, registry=registry, **options)
