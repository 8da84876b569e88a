"""What holds for every test."""

from __future__ import annotations

import hypothesis

# The same examples on every run, and no verdict by the clock of a busy machine.
hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
hypothesis.settings.load_profile("suite")
