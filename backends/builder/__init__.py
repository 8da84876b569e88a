"""Recipes that make variants out of a model: the same weights dequantised, quantised, pruned or distilled.

`build.build` is the way in; it maps a variant's `source` to a recipe and imports only that one.
"""

from __future__ import annotations

import os

# Builds run beside the variants that already serve. Threads that spin while they wait for each other then waste half
# of what they get. OpenMP reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
