"""What the supervisor may use and how patient it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import psutil

from backends.supervisor.run import RunLimits

__all__ = ("SupervisorSettings", "default_memory_budget_bytes")

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_SHARE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorSettings:
    """Settings of one supervisor."""

    memory_budget_bytes: int | None = None
    """Resident bytes all workers together may take; three quarters of the memory when absent."""
    server_grace_s: float = 25.0
    """For API servers to finish their requests at the end."""
    tick_s: float = 0.25
    """Between two looks at the store and at idle workers; changes of processes are acted on at once."""
    limits: RunLimits = field(default_factory=RunLimits)


def default_memory_budget_bytes() -> int:
    """Three quarters of what this machine, or this container, has."""
    total = psutil.virtual_memory().total
    try:
        limit = _CGROUP_LIMIT.read_text(encoding="ascii").strip()
    except OSError:
        limit = ""
    return round(_SHARE * min(total, int(limit) if limit.isdigit() else total))
