"""The time of several runs together."""

from pathlib import Path

import pytest

from backends.builder.stopwatch import Stopwatch


class _Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def _started(directory: Path, clock: _Clock) -> Stopwatch:
    stopwatch = Stopwatch(directory / "seconds", total_s=60.0, clock=clock)
    clock.now_s += 7.0  # not counted: it has not started
    stopwatch.start()
    return stopwatch


def test_a_killed_run_loses_only_the_time_since_it_last_saved(tmp_path: Path) -> None:
    clock = _Clock()
    first = _started(tmp_path, clock)
    clock.now_s += 20.0
    first.save()
    clock.now_s += 500.0
    second = _started(tmp_path, clock)
    assert second.elapsed_s == 20.0
    clock.now_s += 10.0
    assert second.share == 0.5


@pytest.mark.parametrize(("begin_s", "share", "progress"), [(0.0, 0.5, 1.0), (20.0, 1.0, 0.25), (60.0, 1.0, 1.0)])
def test_progress_is_over_the_share_of_what_was_left(
    tmp_path: Path, begin_s: float, share: float, progress: float
) -> None:
    clock = _Clock()
    stopwatch = _started(tmp_path, clock)
    clock.now_s += 30.0
    assert stopwatch.progress(begin_s=begin_s, share=share) == progress
