"""Looks into what the chart makes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.helm import rendered

__all__ = ("config_text", "containers", "made", "of_kind", "one", "pods", "strings")

Manifest = dict[str, Any]


@cache
def made(values: Path) -> tuple[Manifest, ...]:
    """What the chart makes of a file of values."""
    return tuple(rendered("--values", str(values)))


def of_kind(manifests: tuple[Manifest, ...] | list[Manifest], kind: str) -> list[Manifest]:
    """Those of one kind."""
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def one(manifests: tuple[Manifest, ...] | list[Manifest], kind: str, name: str) -> Manifest:
    """The one of this name."""
    found = [manifest for manifest in of_kind(manifests, kind) if manifest["metadata"]["name"] == name]
    assert len(found) == 1, f"{kind} {name}: {len(found)} of them"
    return found[0]


def pods(manifests: tuple[Manifest, ...] | list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The spec of every pod that will run, by the name of what makes it."""
    for manifest in manifests:
        spec, name = manifest.get("spec", {}), f"{manifest['kind']}/{manifest['metadata']['name']}"
        match manifest["kind"]:
            case "Pod":
                yield name, spec
            case "Deployment":
                yield name, spec["template"]["spec"]
            case "CronJob":
                yield name, spec["jobTemplate"]["spec"]["template"]["spec"]


def containers(pod: Manifest) -> list[Manifest]:
    """All of a pod's containers, those that run first included."""
    return [*pod.get("initContainers", ()), *pod["containers"]]


def config_text(manifests: tuple[Manifest, ...] | list[Manifest]) -> str:
    """The `trilemma.yaml` that the gateway will read."""
    return str(one(manifests, "ConfigMap", "rel-trilemma-config")["data"]["trilemma.yaml"])


def strings(node: object) -> Iterator[str]:
    """Every text in a document, keys included."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from strings(value)
    elif isinstance(node, list):
        for item in node:
            yield from strings(item)
    else:
        yield str(node)
