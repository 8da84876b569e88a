"""The four dashboards: what goes on, what is slow, how the variants stand, what tenants get."""

from __future__ import annotations

import json

from charts.generate.boards.overview import OVERVIEW
from charts.generate.boards.slow import SLOW
from charts.generate.boards.tenants import TENANTS
from charts.generate.boards.variants import VARIANTS
from charts.generate.panels import dashboard

__all__ = ("dashboards",)

TENANT = {"tenant": "trilemma_requests_total"}
VARIANT = {"variant": "trilemma_variant_up"}


def dashboards() -> dict[str, str]:
    """JSON by file name."""
    made = (
        dashboard("trilemma-overview", "Trilemma: overview", "Is all well?", OVERVIEW, choices=TENANT | VARIANT),
        dashboard("trilemma-slow", "Trilemma: slow requests", "Where does time go?", SLOW, choices=TENANT),
        dashboard("trilemma-variants", "Trilemma: variants", "How do they stand?", VARIANTS, choices=VARIANT),
        dashboard("trilemma-tenants", "Trilemma: tenants", "Who gets what was promised?", TENANTS, choices=TENANT),
    )
    return {f"{one['uid']}.json": json.dumps(one, indent=1) + "\n" for one in made}
