from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.types import Capability, Engine, LoadReport, Variant, VariantKind, VariantStatus, WorkerState
from gateway.routing.candidates import _CAPABILITIES, _PRIORS, capabilities, freeze, profile
from gateway.routing.catalogue import VariantView
from policies.types import Candidate, CandidateState
from tests.gateways import CARD, local


def variant(**fields: object) -> Variant:
    return msgspec.convert(local("a", **fields), Variant)


def candidate(
    *, state: WorkerState = WorkerState.WARM, load: LoadReport | None = None, in_flight: int = 0, **fields: object
) -> Candidate:
    status = VariantStatus(name="a", state=state, load=load)
    [found] = freeze([VariantView(variant=variant(**fields), status=status, in_flight=in_flight)])
    return found


@pytest.mark.parametrize("state", list(WorkerState))
def test_only_what_can_answer_or_be_started_is_available(state: WorkerState) -> None:
    expected = {"warm": "warm", "loading": "loading", "cold": "cold"}.get(state, "unavailable")
    assert candidate(state=state).state == CandidateState(expected)


@given(
    reported=st.integers(0, 20),
    queued=st.integers(0, 20),
    in_flight=st.integers(0, 60),
    max_running=st.integers(1, 16),
)
def test_load_is_never_less_than_reported_or_than_what_we_have_sent(
    reported: int, queued: int, in_flight: int, max_running: int
) -> None:
    reported = min(reported, max_running)
    load = LoadReport(state=WorkerState.WARM, running=reported, queued=queued, max_running=max_running)
    found = candidate(load=load, in_flight=in_flight, max_running=max_running)
    assert found.running + found.queued == max(reported + queued, in_flight)
    assert reported <= found.running <= max_running
    assert found.queued >= queued


def test_prices_are_per_token_or_per_second() -> None:
    by_time = candidate(price={"compute_per_hour_usd": 7.2})
    assert (by_time.compute_per_s_usd, by_time.completion_per_token_usd) == (pytest.approx(0.002), 0)
    by_token = candidate(price={"prompt_per_mtok_usd": 2, "completion_per_mtok_usd": 4})
    assert (by_token.prompt_per_token_usd, by_token.completion_per_token_usd) == (2e-6, 4e-6)
    assert by_token.compute_per_s_usd == 0


def test_a_measured_card_goes_before_what_was_stated() -> None:
    known = profile(variant(quality=0.1), CARD)
    assert (known.source, known.quality, known.quality_se) == ("card", 0.75, 0.04)
    assert (known.ttft_s, known.ttft_prompt_tokens, known.cold_start_s) == (0.1, 50, 3.0)
    # Eight together make 400 tokens/s, so that each takes 20 ms a token: 10 ms more for seven further ones.
    assert known.tpot_slope_s == pytest.approx(0.01 / 7)


@pytest.mark.parametrize(
    ("stated", "source"),
    [({}, "stated"), ({"quality": None}, "prior"), ({"quality": None, "ttft_s": None, "tpot_s": None}, "prior")],
)
def test_what_was_not_measured_says_where_it_comes_from(stated: dict[str, object], source: str) -> None:
    known = profile(variant(**stated), None)
    assert known.source == source
    assert known.tpot_s == (0.015 if "tpot_s" in stated else 0.01)


def test_every_kind_has_a_prior_and_every_engine_its_capabilities() -> None:
    assert set(_PRIORS) == set(VariantKind)
    assert set(_CAPABILITIES) == set(Engine)


def test_configured_capabilities_replace_those_of_the_engine() -> None:
    assert Capability.JSON_SCHEMA in capabilities(variant())
    assert capabilities(variant(capabilities=["tools"])) == {"tools"}
    assert capabilities(variant(capabilities=[])) == frozenset()
