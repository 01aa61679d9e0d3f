from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.runs import Bare, quiet
from trainsignal import TrainCostCallback, TrainLoggerCallback


def logged(
    caplog: pytest.LogCaptureFixture,
    logger: TrainLoggerCallback,
    *others: Any,
    model: object = None,
    epochs: int | None = 2,
    sets_cost: bool = True,
) -> list[str]:
    """Return what is logged over epochs of costs 1, 3, 5."""
    callbacks = quiet(model)
    callbacks.callbacks = [logger, *others]
    with caplog.at_level("INFO", logger="trainsignal"), callbacks.training(epochs) as run:
        for epoch in run.epochs():
            for cost in run.minibatches([1.0, 3.0, 5.0]):
                if sets_cost:
                    run.cost = cost
            if epoch == 1:
                break
    return caplog.messages[1:]


class Totalled(Bare):
    """A model with neon's mean cost of the epoch."""

    def __init__(self, total_cost: Any) -> None:
        self.total_cost = total_cost

    def __str__(self) -> str:
        return "Network Layers:\n  one"


def test_model_is_logged_at_the_begin(caplog: pytest.LogCaptureFixture) -> None:
    logged(caplog, TrainLoggerCallback(), model=Totalled(1))
    assert caplog.messages[0] == "Model:\nNetwork Layers:\n  one"


def test_minibatches_of_its_frequency_are_logged_with_the_smoothed_cost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    messages = logged(caplog, TrainLoggerCallback(None, minibatch_freq=2), TrainCostCallback(wsz=2), epochs=1)
    assert messages == ["Epoch 0 Minibatch 1 complete. Train cost: 2.000000"]


def test_minibatches_are_logged_with_their_own_cost_where_nobody_smooths(
    caplog: pytest.LogCaptureFixture,
) -> None:
    messages = logged(caplog, TrainLoggerCallback(None, minibatch_freq=3), epochs=1)
    assert messages == ["Epoch 0 Minibatch 2 complete. Train cost: 5.000000"]


def test_minibatches_at_which_nobody_smoothed_are_logged_with_their_own_cost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    smoothing = TrainCostCallback(wsz=2)
    smoothing.minibatch_freq = None
    messages = logged(caplog, TrainLoggerCallback(None, minibatch_freq=3), smoothing, epochs=None)
    assert messages[0] == "Epoch 0 Minibatch 2 complete. Train cost: 5.000000"


def test_cost_of_an_epoch_is_the_mean_of_what_the_loop_set_also_where_the_model_has_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    messages = logged(caplog, TrainLoggerCallback(), model=Totalled(np.zeros((1, 1))))
    assert messages == [f"Epoch {epoch} complete.  Train Cost 3.000000." for epoch in (0, 1)]


@pytest.mark.parametrize(
    "total", [0.25, np.float32(0.25), np.array([[0.25]])], ids=["float", "scalar", "(1, 1)"]
)
def test_cost_of_an_epoch_is_the_models_where_the_loop_set_none(
    total: Any, caplog: pytest.LogCaptureFixture
) -> None:
    messages = logged(caplog, TrainLoggerCallback(2), model=Totalled(total), sets_cost=False)
    assert messages == ["Epoch 1 complete.  Train Cost 0.250000."]


def test_epoch_without_any_cost_is_logged_as_complete(caplog: pytest.LogCaptureFixture) -> None:
    messages = logged(caplog, TrainLoggerCallback([0]), sets_cost=False)
    assert messages == ["Epoch 0 complete."]
