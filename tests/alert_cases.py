"""What goes on in a gateway, as series, and which alert must fire of it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ("CASES", "Case", "promise")

Series = dict[str, str]

ALIVE = {'trilemma_build_info{version="1"}': "1x6000"}
PROMISE = 'tenant="a",promise="ttft_p95_s"'


def promise(*, asked: str, broken: str) -> Series:
    return {
        f'trilemma_sla_allowance_ratio{{{PROMISE},process="1"}}': "0.05x6000",
        f'trilemma_sla_requests_total{{{PROMISE},process="1"}}': asked,
        f'trilemma_sla_broken_total{{{PROMISE},process="1"}}': broken,
    }


def requests(*, answered: str, failed: str, error_type: str = "upstream_error") -> Series:
    return {
        'trilemma_requests_total{tenant="a",variant="v",ending="done",error_type=""}': answered,
        f'trilemma_requests_total{{tenant="a",variant="",ending="failed",error_type="{error_type}"}}': failed,
    }


def ratios(*, above: str, below: str) -> Series:
    """Observed over predicted, one bucket each side of 3."""
    name, labels = "trilemma_estimate_ratio", 'variant="v",figure="ttft"'
    return {
        f'{name}_bucket{{{labels},le="1"}}': below,
        f'{name}_bucket{{{labels},le="4"}}': above,
        f'{name}_bucket{{{labels},le="+Inf"}}': above,
        f"{name}_count{{{labels}}}": above,
    }


def state(name: str) -> Series:
    return {f'trilemma_variant_up{{variant="v",state="{other}"}}': f"{int(other == name)}x60" for other in STATES}


STATES = ("warm", "cold", "failed", "loading")


class Case(NamedTuple):
    """What is going on, and whether an alert on it fires after a while."""

    what: str
    alert: str
    series: Series
    after: str
    fires: bool
    severity: str = ".*"


CASES = (
    Case(
        "a promise broken by every request",
        "TrilemmaPromiseBurns",
        promise(asked="0+60x90", broken="0+60x90"),
        "90m",
        fires=True,
    ),
    Case(
        "a promise broken as often as it may be",
        "TrilemmaPromiseBurns",
        promise(asked="0+60x90", broken="0+3x90"),
        "90m",
        fires=False,
    ),
    Case(
        "a promise broken by few requests at all",
        "TrilemmaPromiseBurns",
        promise(asked="0+0.1x90", broken="0+0.1x90"),
        "90m",
        fires=False,
    ),
    Case(
        "a promise that was broken and is kept again",
        "TrilemmaPromiseBurns",
        promise(asked="0+60x120", broken="0+60x60 3600x60"),
        "105m",
        fires=False,
        severity="page",
    ),
    Case(
        "a promise broken somewhat for days",
        "TrilemmaPromiseBurns",
        promise(asked="0+60x90", broken="0+5x90"),
        "90m",
        fires=True,
        severity="ticket",
    ),
    Case(
        "a promise broken somewhat for days, to a pager",
        "TrilemmaPromiseBurns",
        promise(asked="0+60x90", broken="0+5x90"),
        "90m",
        fires=False,
        severity="page",
    ),
    Case(
        "one request in ten failing",
        "TrilemmaRequestsFail",
        requests(answered="0+54x90", failed="0+6x90"),
        "90m",
        fires=True,
    ),
    Case(
        "one request in a thousand failing",
        "TrilemmaRequestsFail",
        requests(answered="0+999x90", failed="0+1x90"),
        "90m",
        fires=False,
    ),
    Case(
        "callers' own mistakes",
        "TrilemmaRequestsFail",
        requests(answered="0+54x90", failed="0+60x90", error_type="invalid_request_error"),
        "90m",
        fires=False,
    ),
    Case("no gateway", "TrilemmaGone", {"up": "1x60"}, "20m", fires=True),
    Case("a gateway", "TrilemmaGone", ALIVE, "20m", fires=False),
    Case("only a variant that failed", "TrilemmaNothingAnswers", state("failed"), "10m", fires=True),
    Case("a variant that can be started", "TrilemmaNothingAnswers", state("cold"), "10m", fires=False),
    Case("a worker that failed", "TrilemmaVariantFailed", state("failed"), "10m", fires=True),
    Case("a worker that runs", "TrilemmaVariantFailed", state("warm"), "10m", fires=False),
    Case(
        "a queue that turns a tenth away",
        "TrilemmaQueueTurnsAway",
        {
            'trilemma_queue_outcomes_total{outcome="admitted"}': "0+90x60",
            'trilemma_queue_outcomes_total{outcome="full"}': "0+10x60",
        },
        "30m",
        fires=True,
    ),
    Case(
        "a queue that callers leave",
        "TrilemmaQueueTurnsAway",
        {
            'trilemma_queue_outcomes_total{outcome="admitted"}': "0+90x60",
            'trilemma_queue_outcomes_total{outcome="cancelled"}': "0+90x60",
        },
        "30m",
        fires=False,
    ),
    Case(
        "a breaker open for long",
        "TrilemmaVariantLeftAlone",
        {'trilemma_circuit_open{variant="v"}': "1x60"},
        "10m",
        fires=True,
    ),
    Case(
        "a breaker open for moments",
        "TrilemmaVariantLeftAlone",
        {'trilemma_circuit_open{variant="v"}': "1 1 0 1 0x20"},
        "10m",
        fires=False,
    ),
    Case(
        "a worker that dies",
        "TrilemmaVariantRestarts",
        {'trilemma_variant_restarts_total{variant="v"}': "0+1x60"},
        "40m",
        fires=True,
    ),
    Case(
        "a worker that died once",
        "TrilemmaVariantRestarts",
        {'trilemma_variant_restarts_total{variant="v"}': "0 1x60"},
        "40m",
        fires=False,
    ),
    Case(
        "times three times those predicted",
        "TrilemmaEstimatesOff",
        ratios(above="0+10x500", below="0x500"),
        "420m",
        fires=True,
    ),
    Case(
        "times as predicted",
        "TrilemmaEstimatesOff",
        ratios(above="0+10x500", below="0+6x500"),
        "420m",
        fires=False,
    ),
    Case(
        "a few times that are off",
        "TrilemmaEstimatesOff",
        ratios(above="0+0.1x500", below="0x500"),
        "420m",
        fires=False,
    ),
    Case(
        "a fixed variant that is better than routing",
        "TrilemmaRoutingWorse",
        {"trilemma_routing_worse_than_fixed": "1x120"},
        "90m",
        fires=True,
    ),
    Case(
        "routing that was worse for a while",
        "TrilemmaRoutingWorse",
        {"trilemma_routing_worse_than_fixed": "1x30 0x90"},
        "90m",
        fires=False,
    ),
    Case(
        "decisions without estimates",
        "TrilemmaStaticOrder",
        {"trilemma_fallback_decisions_total": "0+10x60", "trilemma_decisions_total": "0+100x60"},
        "40m",
        fires=True,
    ),
    Case(
        "decisions with estimates",
        "TrilemmaStaticOrder",
        {"trilemma_fallback_decisions_total": "0x60", "trilemma_decisions_total": "0+100x60"},
        "40m",
        fires=False,
    ),
    Case("rows lost", "TrilemmaLogLosesRows", {"trilemma_log_dropped_rows_total": "0x10 5x50"}, "15m", fires=True),
    Case("no rows lost", "TrilemmaLogLosesRows", {"trilemma_log_dropped_rows_total": "5x60"}, "15m", fires=False),
    Case("a log far behind", "TrilemmaLogBehind", {"trilemma_log_backlog_rows": "5000x60"}, "30m", fires=True),
    Case(
        "a log that catches up",
        "TrilemmaLogBehind",
        {"trilemma_log_backlog_rows": "5000x5 0x55"},
        "30m",
        fires=False,
    ),
    Case(
        "a database that refuses",
        "TrilemmaDatabaseRefuses",
        {"trilemma_log_failures_total": "0+1x60"},
        "30m",
        fires=True,
    ),
    Case(
        "one process without Redis",
        "TrilemmaRedisAway",
        {'trilemma_redis_up{process="1"}': "1x60", 'trilemma_redis_up{process="2"}': "0x60"},
        "10m",
        fires=True,
    ),
    Case("no Redis configured", "TrilemmaRedisAway", ALIVE, "10m", fires=False),
    Case(
        "a collector that refuses",
        "TrilemmaTracesNotSent",
        {
            'trilemma_otlp_spans_total{outcome="offered"}': "0+10x60",
            'trilemma_otlp_spans_total{outcome="failed"}': "0+9x60",
        },
        "50m",
        fires=True,
    ),
    Case(
        "long waits for room",
        "TrilemmaQueueWaits",
        {
            'trilemma_queue_wait_seconds_bucket{tenant="a",le="10"}': "0x60",
            'trilemma_queue_wait_seconds_bucket{tenant="a",le="30"}': "0+9x60",
            'trilemma_queue_wait_seconds_bucket{tenant="a",le="+Inf"}': "0+9x60",
        },
        "40m",
        fires=True,
    ),
)
