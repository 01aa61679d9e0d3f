from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support import neon_reference
from tests.support.runs import FakeClock, fit, quiet, tiny_model, tiny_set
from trainsignal import LossCallback, MetricCallback
from trainsignal.errors import ConfigurationError, DataError, FrequencyError, MissingAbilityError
from trainsignal.models.numpy_net import Accuracy


def test_two_losses_have_their_own_series() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(tiny_set()))
    callbacks.add_callback(LossCallback(tiny_set(), epoch_freq=2))
    callbacks.add_callback(LossCallback(tiny_set(), label="other"))
    fit(model, callbacks, 4)
    data = callbacks.callback_data
    np.testing.assert_array_equal(data["cost/loss_2"][:], data["cost/loss"][[1, 3]])
    np.testing.assert_array_equal(data["cost/other"][:], data["cost/loss"][:])
    assert data["time/loss_2"].shape == (2,)


def test_loss_falls_on_the_set_that_is_trained_on() -> None:
    reference = neon_reference.arrays("default_only")
    model = neon_reference.initialized_mlp(reference)
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(neon_reference.data_set(reference, "train")))
    fit(model, callbacks, 3, neon_reference.data_set(reference, "train"))
    losses = callbacks.callback_data["cost/loss"][:]
    assert (np.diff(losses) < 0).all()


@pytest.mark.parametrize("frequency, shape, axis", [
    (1, (5,), {"epoch_freq": 1}), (2, (2,), {"epoch_freq": 2}), ([0, 3], (2,), {"epochs": [0, 3]}),
    (None, (0,), {"epochs": []}),
], ids=repr)  # fmt: skip
def test_rows_and_axis_are_those_of_the_frequency(
    frequency: Any, shape: tuple[int], axis: dict[str, Any]
) -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(tiny_set(), epoch_freq=frequency))
    fit(model, callbacks, 5)
    series = callbacks.callback_data["cost/loss"]
    assert series.shape == shape
    assert not np.isnan(series[:]).any()
    attributes = {key: np.asarray(value).tolist() for key, value in series.attrs.items()}
    assert attributes == {"time_markers": "epoch_freq", "direction": "min", **axis}


def test_epochs_that_were_not_reached_are_missing() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(tiny_set(), epoch_freq=[1, 4]))
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=2)
    fit(model, callbacks, 5)
    assert np.isnan(callbacks.callback_data["cost/loss"][:]).tolist() == [False, True]


def test_time_is_what_evaluating_took() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(tiny_set(), clock=FakeClock(step=0.5)))
    fit(model, callbacks, 2)
    np.testing.assert_array_equal(callbacks.callback_data["time/loss"][:], [0.5, 0.5])


def test_missing_set_is_refused() -> None:
    with pytest.raises(DataError, match="eval_set=None"):
        LossCallback(None)


def test_model_that_cannot_infer_is_refused_before_the_run() -> None:
    callbacks = quiet()
    callbacks.add_callback(LossCallback(tiny_set()))
    with pytest.raises(MissingAbilityError, match="LossCallback needs a model with"):
        callbacks.on_train_begin(1)


@pytest.mark.parametrize("label", ["", "a/b", "train"])
def test_label_that_would_name_another_series_is_refused(label: str) -> None:
    with pytest.raises(ConfigurationError, match="'train_set' would do"):
        LossCallback(tiny_set(), label=label)


def test_frequency_may_be_an_array_of_epochs() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(tiny_set(), epoch_freq=np.array([0, 2])))

    fit(model, callbacks, 3)

    assert callbacks.callback_data["cost/loss"].attrs["epochs"].tolist() == [0, 2]
    assert not np.isnan(callbacks.callback_data["cost/loss"][:]).any()


def test_coarser_frequency_during_the_run_leaves_rows_where_they_belong() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    loss = LossCallback(tiny_set())
    callbacks.add_callback(loss)
    callbacks.bus.subscribe("epoch_end", lambda: setattr(loss, "epoch_freq", 2), at=0)

    fit(model, callbacks, 4)

    assert np.isnan(callbacks.callback_data["cost/loss"][:]).tolist() == [False, False, True, False]


def test_epoch_that_has_no_row_in_the_series_is_refused() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    loss = LossCallback(tiny_set(), epoch_freq=2)
    callbacks.add_callback(loss)
    callbacks.bus.subscribe("epoch_end", lambda: setattr(loss, "epoch_freq", 1), at=1)

    with pytest.raises(FrequencyError, match="epoch 2 has no row in a series that was begun with"):
        fit(model, callbacks, 4)


def test_subclass_may_make_the_datasets_itself() -> None:
    class Own(LossCallback):
        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            callback_data.create_dataset("cost/loss", (epochs,))
            callback_data.create_dataset("time/loss", (epochs,))

    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(Own(tiny_set()))

    fit(model, callbacks, 2)

    assert (callbacks.callback_data["cost/loss"][:] > 0).all()


def test_both_series_tell_their_axis_so_that_resuming_can_cut_them() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(tiny_set(), epoch_freq=2))
    fit(model, callbacks, 2)
    assert dict(callbacks.callback_data["time/loss"].attrs) == {"time_markers": "epoch_freq", "epoch_freq": 2}


def test_time_is_that_of_the_pass_whoever_asked_for_it_first() -> None:
    clock, data = FakeClock(), tiny_set()

    class Slow(Accuracy):
        def __call__(self, *arguments: Any, **options: Any) -> Any:
            clock.now += 1
            return super().__call__(*arguments, **options)

    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(MetricCallback(data, Slow()))
    callbacks.add_callback(LossCallback(data, clock=clock))
    fit(model, callbacks, 1)
    assert callbacks.callback_data["time/loss"][0] == 2  # one for each minibatch


def test_subclass_may_declare_more_series() -> None:
    class More(LossCallback):
        def __init__(self, eval_set: Any) -> None:
            super().__init__(eval_set)
            self.writes = [*self.writes, "own"]

    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(More(tiny_set()))
    fit(model, callbacks, 1)
    assert callbacks.callback_data["cost/loss"][0] > 0
