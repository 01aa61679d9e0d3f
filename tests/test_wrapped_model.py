from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.fake_device import FakeDevice, plug_in
from tests.support.pairs import FrameworkTensor, Gathering, PairModel, batch, mean_output
from tests.support.runs import quiet
from trainsignal import Callback, LossCallback, MetricCallback, TrainLoggerCallback
from trainsignal.abilities import (
    CanEvaluate,
    CanFinish,
    CanInfer,
    EvaluatesPairs,
    FollowsRun,
    HasCost,
    HasSize,
    HasTotalCost,
)
from trainsignal.errors import CostError, DataError
from trainsignal.wrapped_model import PredictingModel, RunningCost, WrappedModel


class Predicting(PredictingModel):
    """A wrapper around `PairModel`."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = PairModel()

    def evaluating(self) -> Any:
        return self.inner.evaluating()

    def predict(self, inputs: Any) -> Any:
        return self.inner.predict(inputs)

    def to_host(self, value: Any) -> Any:
        return self.inner.to_host(value)


class WithLoss(Predicting):
    """One that was told its loss."""

    def loss(self, outputs: Any, targets: Any) -> Any:
        return FrameworkTensor(np.abs(outputs.values - targets.values).mean())


# -- neon's names --------------------------------------------------------------------------------------


def test_wrapper_has_neons_names_before_any_run() -> None:
    model = WrappedModel()
    assert (model.finished, model.epoch_index, model.nbatches, model.ndata) == (False, 0, 0, 0)
    np.testing.assert_array_equal(model.total_cost, [[np.nan]])
    for ability in (CanFinish, HasSize, HasCost, HasTotalCost, FollowsRun):
        assert isinstance(model, ability)
    with pytest.raises(AttributeError, match="no cost of this minibatch is known"):
        _ = model.cost.cost


def test_callback_reads_of_the_model_where_the_run_is() -> None:
    model, seen = WrappedModel(), list[Any]()

    class Reader(Callback):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            seen.append((model.epoch_index, model.nbatches, model.cost.cost, model.total_cost.tolist()))

    callbacks = quiet(model)
    callbacks.callbacks = [Reader()]
    with callbacks.training(2) as run:
        for epoch in run.epochs():
            for cost in run.minibatches([1.0, 4.0]):
                run.cost = cost + epoch
    assert seen == [
        (0, 2, 1.0, [[1.0]]), (0, 2, 4.0, [[2.5]]), (1, 2, 2.0, [[2.0]]), (1, 2, 5.0, [[3.5]]),
    ]  # fmt: skip


def test_cost_of_a_minibatch_of_which_nobody_told_is_no_attribute() -> None:
    model, callbacks = WrappedModel(), quiet()
    model.follow(callbacks.run)
    callbacks.run.cost = 1.0
    callbacks.run.minibatch_cost.forget()
    assert not hasattr(model.cost, "cost")


def test_run_whose_loop_tells_no_cost_says_so() -> None:
    model = WrappedModel()
    callbacks = quiet(model)
    with pytest.raises(CostError, match=r"set run\.cost = loss"), callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches([1]):
                pass


def test_wrapper_follows_the_run_that_began_last() -> None:
    model = WrappedModel()
    for epochs in (1, 3):
        callbacks = quiet(model)
        with callbacks.training(epochs) as run:
            for _ in run.epochs():
                for _ in run.minibatches([0]):
                    run.cost = 1.0
        assert model.cost.run is run
        assert model.epoch_index == epochs - 1


def test_cost_on_a_device_is_waited_for_when_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    device, model, callbacks = FakeDevice(), WrappedModel(), quiet()
    plug_in(monkeypatch, device)
    model.follow(callbacks.run)
    callbacks.run.cost = device.value(3.0)
    assert device.waits == 0
    assert model.cost.cost == 3.0
    assert device.waits == 1


def test_log_shows_the_cost_that_the_loop_told_or_none(caplog: pytest.LogCaptureFixture) -> None:
    model = WrappedModel()
    callbacks = quiet(model)
    callbacks.callbacks = [TrainLoggerCallback()]
    with caplog.at_level("INFO", "trainsignal"), callbacks.training(1) as run:
        for _ in run.epochs():
            pass
    assert caplog.messages[-1] == "Epoch 0 complete."


def test_running_cost_without_a_run_knows_nothing() -> None:
    assert not hasattr(RunningCost(), "cost")


# -- predicting ----------------------------------------------------------------------------------------


def test_wrapper_that_predicts_can_be_evaluated() -> None:
    model = Predicting()
    for ability in (EvaluatesPairs, CanInfer, CanEvaluate):
        assert isinstance(model, ability)


def test_outputs_for_a_minibatch_are_those_of_the_evaluation_mode_if_asked_for() -> None:
    model = Predicting()
    np.testing.assert_array_equal(model.fprop(FrameworkTensor([1.0]), inference=True).values, [2.0])
    assert not model.inner.is_evaluating
    with pytest.raises(AssertionError):  # in training mode, which this model has not
        model.fprop(FrameworkTensor([1.0]))


def test_metric_is_evaluated_over_a_data_set() -> None:
    dataset = [batch(1.0, 2.0, 3.0), batch(5.0)]
    np.testing.assert_allclose(Predicting().eval(dataset, mean_output), [5.5])
    np.testing.assert_allclose(Predicting().eval(dataset, Gathering()), [10.0])
    with pytest.raises(DataError, match="yielded no minibatch"):
        Predicting().eval([], mean_output)


def test_outputs_of_a_data_set_are_joined_samples_first() -> None:
    outputs = Predicting().get_outputs([batch(1.0, 2.0), batch(3.0)])
    np.testing.assert_array_equal(outputs, [2.0, 4.0, 6.0])


def test_losses_and_metrics_of_the_same_set_share_a_pass() -> None:
    model, dataset = WithLoss(), [batch(1.0, 2.0, 3.0), batch(5.0)]
    callbacks = quiet(model)
    callbacks.callbacks = [LossCallback(dataset), MetricCallback(dataset, mean_output)]
    with callbacks.training(2) as run:
        for _ in run.epochs():
            pass
    data = callbacks.callback_data
    assert data["cost/loss"][:].tolist() == data["metrics/mean_output"][:].tolist() == [5.5, 5.5]
    assert model.inner.forwards == 4


def test_total_cost_is_taken_for_a_number_as_callbacks_for_neon_do() -> None:
    model = WrappedModel()
    callbacks = quiet(model)
    told: list[Any] = []
    callbacks.bus.subscribe(
        "epoch_end",
        lambda: told.append(
            (
                "%f" % model.total_cost,  # noqa: UP031  # as callbacks written for neon do
                float(model.total_cost),
                model.total_cost[0][0],
                model.total_cost.get().tolist(),
            )
        ),
    )
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for cost in run.minibatches([1.0, 2.0]):
                run.cost = cost

    assert told == [("1.500000", 1.5, 1.5, [[1.5]])]
