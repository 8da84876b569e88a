"""A request may tighten what its tenant was given, and loosens nothing."""

from __future__ import annotations

import json
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from gateway.api.parse import parse_chat
from gateway.tenants.clamp import clamped
from gateway.tenants.types import ServedTier, Tenant
from policies.objective import Limits
from policies.promises.types import Sla
from tests.gateways import HELLO

TIERS = get_args(ServedTier)
AMOUNTS = st.none() | st.floats(1e-6, 1e6)
LIMITS = st.builds(
    Limits, ttft_s=AMOUNTS, latency_s=AMOUNTS, max_cost_usd=AMOUNTS, min_quality=st.none() | st.floats(0, 1)
)
TENANTS = st.builds(
    Tenant,
    id=st.just("law"),
    limits=LIMITS,
    sla=st.builds(Sla, max_cost_usd=AMOUNTS),
    max_service_tier=st.sampled_from(TIERS),
)


def at_least_as_strict(one: Limits, other: Limits) -> bool:
    """In every field."""
    most = ("ttft_s", "latency_s", "max_cost_usd")
    upper = [(getattr(one, name), getattr(other, name)) for name in most]
    kept = all(theirs is None or (mine is not None and mine <= theirs) for mine, theirs in upper)
    floor = other.min_quality is None or (one.min_quality is not None and one.min_quality >= other.min_quality)
    return kept and floor


@given(TENANTS, LIMITS)
def test_every_limit_is_the_stricter_of_both(tenant: Tenant, asked: Limits) -> None:
    body = HELLO | {
        "slo": {name: value for name in Limits.__struct_fields__ if (value := getattr(asked, name)) is not None}
    }
    request = clamped(parse_chat(json.dumps(body).encode(), {}), tenant)
    promised = Limits(max_cost_usd=tenant.sla.max_cost_usd)
    for given_ in (asked, tenant.limits, promised):
        assert at_least_as_strict(request.limits, given_)
    for name in Limits.__struct_fields__:
        known = {getattr(limits, name) for limits in (asked, tenant.limits, promised)}
        assert getattr(request.limits, name) in known, "nothing is made up"


@given(TENANTS, st.sampled_from((*TIERS, "auto", None)))
def test_no_request_is_served_above_its_tenants_tier_and_none_is_raised(tenant: Tenant, asked: str | None) -> None:
    body = HELLO | ({} if asked is None else {"service_tier": asked})
    served = clamped(parse_chat(json.dumps(body).encode(), {}), tenant).service_tier
    wanted = "default" if asked in {"auto", None} else asked
    most = min(TIERS.index(wanted), TIERS.index(tenant.max_service_tier))
    assert TIERS.index(served or "default") == most
    assert (served is None) == (asked is None and most == TIERS.index("default")), "only what was asked for is echoed"


@given(st.sampled_from(["other", "law", "default"]))
def test_a_request_is_its_keys_tenants_whatever_it_says(name: str) -> None:
    body = HELLO | {"metadata": {"tenant": name}}
    assert clamped(parse_chat(json.dumps(body).encode(), {}), Tenant(id="law")).tenant == "law"
