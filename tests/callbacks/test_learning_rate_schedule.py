from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.given_series import run_epochs
from tests.support.runs import fit, quiet, tiny_model
from trainsignal import LearningRateScheduleCallback
from trainsignal.errors import ConfigurationError, MissingAbilityError


class Optimizer:
    learning_rate = 1.0


class Optimized:
    """A model that has an optimizer, and notes the rate of each minibatch."""

    def __init__(self) -> None:
        self.optimizer: Any = Optimizer()


def rates_used(model: Any, schedule: Any, per: Any, epochs: int = 3, minibatches: int = 2) -> Any:
    """Run epochs of so many minibatches; return the container and the rate in force within each."""
    used: list[float] = []
    callbacks = quiet(model)
    callbacks.callbacks = [LearningRateScheduleCallback(schedule, per=per)]
    with callbacks.training(epochs) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(minibatches)):
                used.append(model.optimizer.learning_rate)
    return callbacks, used


def test_rate_of_an_epoch_is_in_force_for_all_of_its_minibatches() -> None:
    callbacks, used = rates_used(Optimized(), lambda epoch: 0.1 / 2**epoch, "epoch")
    assert used == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    series = callbacks.callback_data["learning_rate"]
    assert series[:].tolist() == [0.1, 0.05, 0.025]
    assert (dict(series.attrs), series.dtype) == ({"time_markers": "epoch_freq", "epoch_freq": 1}, np.float64)


def test_rate_of_a_minibatch_is_that_of_its_place_in_the_run() -> None:
    callbacks, used = rates_used(Optimized(), lambda step: 0.5 + step, "minibatch")
    assert used == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    series = callbacks.callback_data["learning_rate"]
    assert series[:].tolist() == used
    assert dict(series.attrs) == {"time_markers": "minibatch"}


def test_optimizer_keeps_the_last_rate() -> None:
    model = Optimized()
    rates_used(model, [0.3, 0.2, 0.1].__getitem__, "epoch")
    assert model.optimizer.learning_rate == 0.1


def test_reference_network_trains_with_the_rate() -> None:
    still, trained = tiny_model(), tiny_model()
    before = np.array(still.layers.layers[0].W)  # type: ignore[attr-defined]
    for model, rate in ((still, 0.0), (trained, 0.1)):
        callbacks = quiet(model)
        callbacks.add_callback(LearningRateScheduleCallback(lambda epoch, rate=rate: rate))  # type: ignore[misc]
        fit(model, callbacks, 2)
    np.testing.assert_array_equal(still.layers.layers[0].W, before)  # type: ignore[attr-defined]
    assert not np.array_equal(trained.layers.layers[0].W, before)  # type: ignore[attr-defined]


def test_length_of_the_series_is_that_of_the_run_where_it_is_known() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(LearningRateScheduleCallback(lambda step: 0.1, per="minibatch"))
    lengths: list[int] = []
    callbacks.bus.subscribe(
        "train_begin", lambda callback_data: lengths.append(len(callback_data["learning_rate"]))
    )
    fit(model, callbacks, 3)
    assert lengths == [6]


@pytest.mark.parametrize("answer", [-0.1, float("nan"), float("inf"), None, "fast", [1, 2]], ids=repr)
def test_answer_that_is_no_rate_is_refused(answer: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"returned .* for epoch 0: expected a rate of 0 or more"):
        rates_used(Optimized(), lambda epoch: answer, "epoch")


def test_array_of_one_number_is_a_rate() -> None:
    _, used = rates_used(Optimized(), lambda epoch: np.full((1, 1), 0.5, np.float32), "epoch", epochs=1)
    assert used == [0.5, 0.5]


def test_schedule_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected a function of the 0-based epoch"):
        LearningRateScheduleCallback(0.1)  # type: ignore[arg-type]


def test_unknown_unit_of_time_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="per='batch': expected 'epoch' or 'minibatch'"):
        LearningRateScheduleCallback(lambda epoch: 0.1, per="batch")  # type: ignore[arg-type]


def test_model_without_an_optimizer_is_refused() -> None:
    with pytest.raises(MissingAbilityError, match="needs a model with optimizer"):
        run_epochs(LearningRateScheduleCallback(lambda epoch: 0.1), epochs=1)


def test_optimizer_without_a_rate_is_refused_before_the_first_epoch() -> None:
    model = Optimized()
    model.optimizer = object()
    with pytest.raises(MissingAbilityError, match=r"which the optimizer \(object\) has not"):
        run_epochs(LearningRateScheduleCallback(lambda epoch: 0.1), epochs=1, model=model)
