from __future__ import annotations

import pytest

from gateway.tenants.edit import assigned, checked
from gateway.tenants.errors import InvalidTenantError
from gateway.tenants.types import Quotas, SemanticCaching, Spend, Tenant

LAW = Tenant(id="law", quotas=Quotas(concurrent=3), budget=Spend(usd=1.0), variants=("full",))


def test_fields_are_set_by_path_and_the_rest_stays() -> None:
    values = {"quotas.requests_per_min": 60, "weight": 2, "variants": ["full", "pruned"], "budget.period_s": 60}
    assert assigned(LAW, values) == Tenant(
        id="law",
        quotas=Quotas(concurrent=3, requests_per_min=60),
        budget=Spend(usd=1.0, period_s=60.0),
        variants=("full", "pruned"),
        weight=2.0,
    )


def test_nothing_takes_a_limit_a_section_or_a_list_away() -> None:
    values = {"quotas.concurrent": None, "budget": None, "variants": None}
    assert assigned(LAW, values) == Tenant(id="law")


def test_a_section_that_was_absent_begins_with_its_defaults() -> None:
    assert assigned(LAW, {"semantic_cache.ttl_s": 5}).semantic_cache == SemanticCaching(ttl_s=5.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id": "other"}, "`id` cannot be changed"),
        ({"wieght": 2}, "`wieght`"),
        ({"quotas.rpm": 2}, "`rpm` - at `quotas`"),
        ({"quotas.concurrent": 0}, "at `quotas.concurrent`"),
        ({"quotas.concurrent.x": 0}, "`concurrent` in `quotas.concurrent.x` has no fields"),
        ({"weight": "much"}, "at `weight`"),
        ({"quotas": None}, "at `quotas`"),
        ({"": 1}, "unknown field"),
        ({"variants": []}, "at `variants`"),
    ],
)
def test_what_does_not_fit_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidTenantError) as raised:
        assigned(LAW, values)
    assert message in str(raised.value)


def test_variants_are_held_against_the_configuration() -> None:
    assert checked(LAW, variants=["full", "pruned"]) is LAW
    with pytest.raises(InvalidTenantError, match=r"`full` is not configured; known: pruned"):
        checked(LAW, variants=["pruned"])
