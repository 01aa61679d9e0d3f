from __future__ import annotations

import math
from typing import Any

import pytest

from tests.support.given_series import run_epochs
from tests.support.runs import Costly, quiet
from trainsignal import Callback, StopOnNaNCallback
from trainsignal.errors import CostError

NAN, INFINITE = math.nan, math.inf


@pytest.mark.parametrize("cost, word", [(NAN, "nan"), (INFINITE, "inf"), (-INFINITE, "-inf")])
def test_run_stops_behind_the_minibatch_and_says_where(cost: float, word: str) -> None:
    class Diverging(Callback):
        def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
            if epoch == 2:
                costs[1] = cost

    costs = [1.0, 2.0, 3.0]
    run = run_epochs(Diverging(), StopOnNaNCallback(), epochs=5, costs=costs).run

    assert (run.exit_reason, run.epoch, run.epoch_minibatches) == ("stopped", 2, 2)
    vote = run.votes[0]
    assert vote.reason == f"cost is {word} at epoch 2, minibatch 1"
    assert (vote.author, vote.at) == ("StopOnNaNCallback", "minibatch")


def test_costs_that_are_numbers_stop_nothing() -> None:
    assert run_epochs(StopOnNaNCallback(), epochs=2, costs=(0.0, -1e308)).run.exit_reason == "completed"


def test_minibatch_without_a_cost_is_passed_over() -> None:
    callbacks = quiet()
    callbacks.callbacks = [StopOnNaNCallback()]
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for index in run.minibatches(range(3)):
                if index != 1:
                    run.cost = 1.0
    assert run.exit_reason == "completed"


def test_loop_that_tells_no_cost_at_all_is_told_so() -> None:
    callbacks = quiet()
    callbacks.callbacks = [StopOnNaNCallback()]
    with pytest.raises(CostError), callbacks.training(1) as run:
        for _ in run.epochs():
            list(run.minibatches("ab"))


def test_cost_of_a_neon_model_is_looked_at() -> None:
    callbacks = quiet(Costly(NAN))
    callbacks.callbacks = [StopOnNaNCallback()]
    with callbacks.training(1) as run:
        for _ in run.epochs():
            list(run.minibatches("ab"))
    assert run.votes[0].reason == "cost is nan at epoch 0, minibatch 0"


def test_frequency_says_at_which_minibatches_it_looks() -> None:
    run = run_epochs(StopOnNaNCallback(minibatch_freq=2), epochs=1, costs=(NAN, 1.0, 1.0, NAN, 1.0)).run
    assert run.votes[0].reason == "cost is nan at epoch 0, minibatch 3"


def test_loop_that_goes_on_until_the_epochs_end_has_one_vote() -> None:
    callbacks = quiet()
    callbacks.callbacks = [StopOnNaNCallback()]
    callbacks.on_train_begin(1)
    callbacks.on_epoch_begin(0)
    for minibatch in range(3):
        callbacks.on_minibatch_begin(0, minibatch)
        callbacks.run.cost = NAN
        callbacks.on_minibatch_end(0, minibatch)
    callbacks.on_epoch_end(0)
    callbacks.on_train_end()
    assert [vote.minibatch for vote in callbacks.run.votes] == [0]
