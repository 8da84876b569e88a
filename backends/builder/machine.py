"""The machine that measurements are taken on."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path

import psutil

from backends.models.manifest import Machine, Manifest

__all__ = ("measured_here", "measured_quietly", "same_machine", "this_machine")

_GIB = 1 << 30


def this_machine() -> Machine:
    """This machine as far as it decides how fast a model runs. Stable over restarts; names nobody."""
    cpu = _cpu_name()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_bytes = psutil.virtual_memory().total
    system = f"{platform.system()} {platform.machine()}"
    # Firmware and kernel reserve a little more or less memory at every start, so whole GiB count.
    text = "|".join((cpu, str(cores), str(round(memory_bytes / _GIB)), system))
    return Machine(
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:12],
        cpu=cpu,
        cores=cores,
        memory_bytes=memory_bytes,
        system=system,
    )


def same_machine(one: Machine, other: Machine) -> bool:
    """Whether figures from both may be compared."""
    return one.fingerprint == other.fingerprint


def measured_here(manifest: Manifest | None) -> bool:
    """Whether a build has a card, and it was measured on this machine."""
    return manifest is not None and manifest.card is not None and same_machine(manifest.card.machine, this_machine())


def measured_quietly(manifest: Manifest | None) -> bool:
    """Whether a build's card is of this machine, and not marked as measured while it was busy."""
    return measured_here(manifest) and not (manifest and manifest.card and manifest.card.busy)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
