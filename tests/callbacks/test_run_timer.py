from __future__ import annotations

import time

import numpy as np
import pytest

from tests.support.runs import FakeClock, hand_loop, quiet, six_calls
from trainsignal import Callbacks, RunTimerCallback


def timed(clock: FakeClock) -> Callbacks:
    callbacks = quiet()
    callbacks.callbacks = [RunTimerCallback(clock=clock)]
    callbacks.bus.subscribe("minibatch_end", lambda: setattr(clock, "now", clock.now + 1))
    return callbacks


def test_begin_and_end_are_written_in_seconds() -> None:
    callbacks = timed(FakeClock(1.5e9))
    six_calls(callbacks, 2, 3)
    for name, value in (("start_time", 1.5e9), ("end_time", 1.5e9 + 6)):
        series = callbacks.callback_data[f"time/train/{name}"]
        assert (series.shape, series.dtype) == ((1,), np.float64)
        assert series[0] == value
        assert dict(series.attrs) == {"units": "seconds"}


def test_end_is_missing_while_the_run_lasts() -> None:
    callbacks = timed(FakeClock())
    callbacks.on_train_begin(1)
    assert np.isnan(callbacks.callback_data["time/train/end_time"][0])


def test_end_of_a_run_that_was_cut_short_is_written() -> None:
    callbacks = timed(FakeClock(10))
    with pytest.raises(ValueError), callbacks.training(1):
        raise ValueError
    assert callbacks.callback_data["time/train/end_time"][0] == 10


def test_clock_is_the_wall_clock_where_none_is_given() -> None:
    callbacks = quiet()
    before = time.time()
    six_calls(callbacks)
    assert before <= callbacks.callback_data["time/train/start_time"][0] <= time.time()


def test_end_is_there_for_callbacks_that_read_it_at_train_end() -> None:
    ends: list[float] = []
    callbacks = quiet()
    callbacks.callbacks = [RunTimerCallback(clock=iter([1.0, 2.0, 3.0]).__next__)]
    callbacks.bus.subscribe(
        "train_end", lambda callback_data: ends.append(callback_data["time/train/end_time"][0])
    )

    hand_loop(callbacks)

    assert ends == [2.0]
    assert callbacks.callback_data["time/train/end_time"][0] == 2.0
