from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from tests.support.runs import FakeClock, quiet
from trainsignal import Callbacks, TimeLimitCallback
from trainsignal.errors import ConfigurationError, FrequencyError


def limited(limit: Any, minibatch_s: float = 10.0, epochs: int = 3) -> Callbacks:
    """Run epochs of four minibatches that take so long each."""
    clock = FakeClock()
    callbacks = quiet()
    callbacks.callbacks = [TimeLimitCallback(limit, clock=clock)]
    with callbacks.training(epochs) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(4)):
                clock.now += minibatch_s
    return callbacks


@pytest.mark.parametrize("limit", ["50s", 50, 50.0, np.float32(50), timedelta(seconds=50)], ids=repr)
def test_run_stops_at_the_first_minibatch_boundary_at_the_limit(limit: Any) -> None:
    run = limited(limit).run
    assert (run.exit_reason, run.epoch, run.epoch_minibatches) == ("stopped", 1, 1)


def test_minibatch_that_crosses_the_limit_is_the_last() -> None:
    assert limited("1m", minibatch_s=25).run.epoch_minibatches == 3


def test_vote_tells_the_limit_as_the_user_wrote_it() -> None:
    vote = limited("50s").run.votes[0]
    assert (vote.reason, vote.author, vote.at) == (
        "the time limit of 50s is over", "TimeLimitCallback", "minibatch",
    )  # fmt: skip


def test_run_that_is_done_in_time_is_complete() -> None:
    assert limited("1h").run.exit_reason == "completed"


def test_loop_that_goes_on_has_one_vote() -> None:
    clock = FakeClock(step=5)
    callbacks = quiet()
    callbacks.callbacks = [TimeLimitCallback(7, clock=clock)]
    callbacks.on_train_begin(1)
    callbacks.on_epoch_begin(0)
    for minibatch in range(4):
        callbacks.on_minibatch_begin(0, minibatch)
        callbacks.on_minibatch_end(0, minibatch)
    callbacks.on_epoch_end(0)
    callbacks.on_train_end()
    assert [vote.minibatch for vote in callbacks.run.votes] == [1]


def test_each_run_has_the_whole_time() -> None:
    clock = FakeClock()
    limit = TimeLimitCallback(50, clock=clock)
    for _ in range(2):
        callbacks = quiet()
        callbacks.callbacks = [limit]
        with callbacks.training(1) as run:
            for _ in run.epochs():
                for _ in run.minibatches(range(4)):
                    clock.now += 10
        assert run.exit_reason == "completed"


def test_nothing_of_this_process_clock_is_saved() -> None:
    limit = TimeLimitCallback(50, clock=FakeClock())
    callbacks = quiet()
    callbacks.callbacks = [limit]
    callbacks.on_train_begin(1)
    assert limit.state_dict() == {}


@pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf"), True, None, [1], 1j], ids=repr)
def test_limit_that_is_no_time_is_refused(limit: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected seconds above 0"):
        TimeLimitCallback(limit)


@pytest.mark.parametrize("limit", ["soon", "0s", timedelta(0)], ids=repr)
def test_text_that_is_no_interval_is_refused(limit: Any) -> None:
    with pytest.raises(FrequencyError):
        TimeLimitCallback(limit)
