from __future__ import annotations

from backends.worker.load_meter import LoadMeter


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_rate_is_that_of_the_last_seconds_only() -> None:
    clock = Clock()
    meter = LoadMeter(clock)
    for _ in range(20):
        clock.now_s += 0.5
        meter.generated(10)
    assert 18 < meter.tokens_per_s < 24
    clock.now_s += 6
    assert meter.tokens_per_s == 0.0


def test_a_first_burst_is_not_taken_for_a_rate() -> None:
    meter = LoadMeter(Clock())
    meter.generated(8)
    assert meter.tokens_per_s == 8.0


def test_idle_time_runs_from_the_end_of_the_last_answer() -> None:
    clock = Clock()
    meter = LoadMeter(clock)
    clock.now_s += 3
    assert meter.idle_s == 3
    meter.begin([1, 2])
    clock.now_s += 5
    assert (meter.idle_s, meter.in_flight) == (0.0, 2)
    meter.end([1])
    assert meter.idle_s == 0.0
    meter.end([2])
    clock.now_s += 2
    assert (meter.idle_s, meter.in_flight) == (2.0, 0)
