"""The parent of all processes: keeps workers, API servers and the builder running, and tells how they stand.

`plan` decides from a frozen view what to start and stop, `supervisor` carries it out on real processes, `control` is
how other processes ask.
"""

from __future__ import annotations

__all__ = ()
