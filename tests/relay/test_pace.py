from __future__ import annotations

import pytest

from tests.support.runs import FakeClock
from trainsignal.relay.pace import MOST, Pace


def test_interval_is_over_once_each_time() -> None:
    clock = FakeClock()
    pace = Pace(0.5, clock)
    assert not pace.is_over(1)
    clock.now += 0.5
    assert pace.is_over(2) and not pace.is_over(3)
    clock.now += 0.5
    assert pace.is_over(4)


@pytest.mark.parametrize(
    "each_s, stride",
    [
        (10, 1),
        (0.2, 1),
        (1 / 60, 1),
        (1 / 130, 4),
        (1 / 500, 8),
        (1 / 1000, 16),
        (1 / 4000, 64),
        (1e-6, MOST),
    ],
)
def test_clock_is_looked_at_some_times_in_an_interval_and_not_at_each_fast_minibatch(
    each_s: float, stride: int
) -> None:
    """Of 500 a second, 125 are done in a quarter of a second: at each 8th, it is looked at 15 times."""
    clock = FakeClock()
    pace = Pace(0.25, clock)
    minibatches = 0
    while clock.now < 101 + 2 * each_s:
        minibatches += pace.stride
        clock.now += each_s * pace.stride
        pace.is_over(minibatches)
    assert pace.stride == stride


def test_pace_that_breaks_down_is_noticed_at_the_next_look() -> None:
    clock = FakeClock()
    pace = Pace(0.2, clock)
    clock.now += 0.2
    assert pace.is_over(100_000) and pace.stride == MOST
    clock.now += 600
    assert pace.is_over(100_000 + MOST) and pace.stride == 1
