"""What holds for every test."""

from __future__ import annotations

import hypothesis

# The same examples on every run, and no verdict by the clock of a busy machine, on an example or on drawing it.
hypothesis.settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")
