"""`KerasLoop` in real fits, on the backend that Keras was imported with, and driven by its hooks alone."""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pytest
import torch

from tests.support.runs import Sentence, quiet
from trainsignal import Callbacks, TrainCostCallback, keys
from trainsignal.errors import ConfigurationError
from trainsignal.loops.keras import KerasLoop
from trainsignal.models.keras import KerasModel

pytestmark = [
    # NumPy warns of how Keras converts PyTorch's tensors, and Keras of an epoch that it knew no length of.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning"),
]

Floats = npt.NDArray[Any]
RATE = 0.1


def data(samples: int = 20) -> tuple[Floats, Floats]:
    """Return inputs, (samples, 3), and targets, (samples, 1)."""
    generator = np.random.default_rng(3)
    return generator.normal(size=(samples, 3)).astype("f4"), generator.normal(size=(samples, 1)).astype("f4")


def linear(**dense: Any) -> KerasModel:
    dense = {"use_bias": False, "kernel_initializer": "zeros"} | dense
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, **dense)])
    model.compile(optimizer=keras.optimizers.SGD(RATE), loss="mse", metrics=["mae", "accuracy"])
    return KerasModel(model)


def noisy() -> KerasModel:
    """Return a model with all that a checkpoint has to hold: momentum, averages, random numbers."""
    keras.utils.set_random_seed(5)
    layers = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(optimizer=keras.optimizers.SGD(RATE, momentum=0.9), loss="mse")
    return KerasModel(model)


def recording(model: Any, **options: Any) -> Callbacks:
    """Return callbacks that record the cost of each minibatch by itself."""
    callbacks = quiet(model, **options)
    callbacks.callbacks = [one for one in callbacks.callbacks if not isinstance(one, TrainCostCallback)]
    callbacks.add_callback(TrainCostCallback(wsz=1), insert_pos=0)
    return callbacks


def fit(callbacks: Callbacks, *given: Any, **options: Any) -> Any:
    """Train on arrays in batches of 8, in order, or as `options` say."""
    loop, others = KerasLoop(callbacks), options.pop("others", [])
    arrays = given or data()
    if len(arrays) == 2:
        options = {"batch_size": 8, "shuffle": False} | options
    with callbacks:
        return callbacks.model().keras_model.fit(*arrays, verbose=0, callbacks=[loop, *others], **options)


def descended(epochs: int = 1) -> tuple[list[Floats], list[float]]:
    """Return weights after each minibatch, and its cost before: gradient descent on `data()`, in NumPy."""
    x, y = data()
    weights, costs = [np.zeros((3, 1))], []
    for _ in range(epochs):
        for start in range(0, len(x), 8):
            inputs, targets = x[start : start + 8].astype("f8"), y[start : start + 8]
            error = inputs @ weights[-1] - targets
            costs.append(float(np.mean(error**2)))
            weights.append(weights[-1] - RATE * 2 / len(inputs) * inputs.T @ error)
    return weights[1:], costs


def weights_of(callbacks: Callbacks) -> list[Floats]:
    return [entry["value"] for entry in callbacks.model().serialize()["weights"]]


# -- what is published and recorded ----------------------------------------------------------------------


def test_the_cost_of_a_minibatch_is_its_own_also_in_a_short_last_one() -> None:
    callbacks = recording(linear())

    fit(callbacks, epochs=2)

    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], descended(2)[1], rtol=1e-5)


def test_the_cost_includes_regularization() -> None:
    model = linear(kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.5))
    callbacks = recording(model)
    x, y = data(8)

    fit(callbacks, x, y)

    expected = np.mean((x.sum(axis=1, keepdims=True) - y) ** 2) + 0.5 * 3
    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][0], expected, rtol=1e-5)


def test_what_keras_logs_becomes_series() -> None:
    callbacks = recording(linear())

    history = fit(callbacks, epochs=2, validation_data=data(9)).history

    written = callbacks.callback_data
    for name, values in history.items():
        np.testing.assert_allclose(written[keys.metric(name)][:], values, rtol=1e-6)
    assert {"loss", "val_loss", "mae", "val_accuracy"} <= history.keys()
    np.testing.assert_allclose(written[keys.LOSS][:], history["val_loss"], rtol=1e-6)


def test_a_direction_is_told_where_keras_knows_it() -> None:
    callbacks = recording(linear())

    fit(callbacks, validation_data=data(9))

    directions = {
        name: callbacks.callback_data[keys.metric(name)].attrs.get(keys.DIRECTION)
        for name in ("loss", "val_loss", "mae", "accuracy", "val_accuracy")
    }
    assert directions == {
        "loss": "min", "val_loss": "min", "mae": "min", "accuracy": "max", "val_accuracy": "max"
    }  # fmt: skip


def test_evaluating_and_predicting_publish_nothing() -> None:
    callbacks = recording(linear())
    heard, loop = Sentence(callbacks), KerasLoop(callbacks)
    model, (x, y) = callbacks.model().keras_model, data()

    model.evaluate(x, y, verbose=0, callbacks=[loop])
    model.predict(x, verbose=0, callbacks=[loop])

    assert heard.text == ""


def test_a_loss_callback_finds_what_keras_evaluates() -> None:
    model = linear(kernel_regularizer="l2")
    x, y = data()
    callbacks = recording(model, eval_set=[(x[:12], y[:12]), (x[12:], y[12:])], eval_freq=1)

    fit(callbacks)

    expected = model.keras_model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(callbacks.callback_data[keys.LOSS][0], expected, rtol=1e-5)


def test_evaluating_amid_an_epoch_disturbs_no_training() -> None:
    callbacks = recording(linear())
    x, y = data()
    callbacks.bus.subscribe(
        "minibatch_end", lambda model: model.eval([(x, y)], keras.metrics.MeanSquaredError())
    )

    history = fit(callbacks, epochs=2).history

    weights, costs = descended(2)
    np.testing.assert_allclose(weights_of(callbacks)[0], weights[-1], rtol=1e-5)
    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], costs, rtol=1e-5)
    np.testing.assert_allclose(
        history["loss"], [np.average(costs[i : i + 3], weights=[8, 8, 4]) for i in (0, 3)]
    )


# -- callbacks and the model -----------------------------------------------------------------------------


def test_callbacks_see_the_weights_of_the_moment_within_an_epoch() -> None:
    callbacks = recording(linear())
    seen: list[Floats] = []
    callbacks.bus.subscribe("minibatch_end", lambda model: seen.append(model.layers.layers[0].W.get()))

    fit(callbacks)

    np.testing.assert_allclose(seen, descended()[0], rtol=1e-5)


def test_a_learning_rate_that_is_set_within_an_epoch_counts_from_the_next_minibatch_on() -> None:
    callbacks = recording(linear())
    callbacks.bus.subscribe(
        "minibatch_end", lambda model: setattr(model.optimizer, "learning_rate", 0), at=[1]
    )

    fit(callbacks)

    np.testing.assert_allclose(weights_of(callbacks)[0], descended()[0][1], rtol=1e-5)


def test_callbacks_of_another_model_are_refused() -> None:
    callbacks, other = recording(linear()), linear().keras_model
    x, y = data()

    with pytest.raises(
        ConfigurationError, match=rf"fit trains '{other.name}': make Callbacks with the model"
    ):
        other.fit(x, y, verbose=0, callbacks=[KerasLoop(callbacks)])


def test_a_raw_model_can_be_given_where_no_ability_is_needed() -> None:
    model = linear().keras_model
    callbacks = recording(model)
    x, y = data()

    model.fit(x, y, batch_size=8, shuffle=False, verbose=0, callbacks=[KerasLoop(callbacks)])

    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], descended()[1], rtol=1e-5)


def test_a_loop_in_no_list_is_refused() -> None:
    callbacks = recording(linear())
    x, y = data()

    with pytest.raises(ConfigurationError, match=r"pass a list, fit\(callbacks=\[KerasLoop"), callbacks:
        callbacks.model().keras_model.fit(x, y, verbose=0, callbacks=KerasLoop(callbacks))


# -- which epochs ------------------------------------------------------------------------------------------


class Epochs(keras.callbacks.Callback):  # type: ignore[misc]  # untyped framework
    """Notes by which numbers Keras calls its epochs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.seen.append(epoch)


def test_a_fit_that_begins_later_is_numbered_as_keras_does() -> None:
    callbacks = recording(linear())
    heard = Sentence(callbacks)

    fit(callbacks, epochs=4, initial_epoch=2)

    assert [call for call in heard.calls if call[0] == "epoch_begin"] == [
        ("epoch_begin", 2),
        ("epoch_begin", 3),
    ]
    assert callbacks.run.exit_reason == "completed"


def test_a_vote_at_a_minibatch_ends_the_fit_after_it() -> None:
    callbacks = recording(linear())
    callbacks.bus.subscribe("minibatch_end", lambda: callbacks.stop("enough"), at=[1])

    fit(callbacks, epochs=3)

    assert callbacks.run.exit_reason == "stopped"
    np.testing.assert_allclose(weights_of(callbacks)[0], descended()[0][1], rtol=1e-5)


def test_a_vote_before_the_first_epoch_lets_none_begin() -> None:
    callbacks = recording(linear())
    heard = Sentence(callbacks)
    callbacks.bus.subscribe("train_begin", lambda: callbacks.stop("not today"))

    fit(callbacks, epochs=3)
    later = fit(recording(callbacks.model()), epochs=2)

    assert heard.text == "TtC"
    assert callbacks.run.exit_reason == "stopped"
    assert later.epoch == [0, 1]


def cut_short(tmp_path: Path) -> None:
    """Crash at the begin of the third of four epochs."""
    callbacks = recording(noisy(), save_path=tmp_path / "model.h5")
    callbacks.bus.subscribe("epoch_begin", lambda: 1 / 0, at=[2])
    with pytest.raises(ZeroDivisionError):
        fit(callbacks, epochs=4, shuffle=True)


def test_a_resumed_fit_does_what_one_without_a_break_would_have_done(tmp_path: Path) -> None:
    whole = recording(noisy())
    fit(whole, epochs=4, shuffle=True)
    cut_short(tmp_path)
    keras.utils.set_random_seed(77)
    resumed, epochs = recording(noisy(), save_path=tmp_path / "model.h5", resume=True), Epochs()

    fit(resumed, epochs=4, shuffle=True, others=[epochs])

    assert epochs.seen == [2, 3]
    for one, other in zip(weights_of(resumed), weights_of(whole), strict=True):
        np.testing.assert_array_equal(one, other)


class Batches(torch.utils.data.IterableDataset):  # type: ignore[misc]  # untyped framework
    """Whole batches, for a `DataLoader` that hands them through."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.source)


def fit_served(callbacks: Callbacks, **options: Any) -> None:
    x, y = data()
    served = callbacks.serve([(x[start : start + 5], y[start : start + 5]) for start in range(0, 20, 5)])
    fit(callbacks, torch.utils.data.DataLoader(Batches(served), batch_size=None), shuffle=False, **options)


def test_a_resumed_fit_goes_on_within_an_epoch_of_a_served_loader(tmp_path: Path) -> None:
    whole = recording(noisy())
    fit_served(whole, epochs=2)
    files = {"save_path": tmp_path / "model.h5", "checkpoint_every": 1}
    cut = recording(noisy(), **files)
    cut.bus.subscribe("minibatch_begin", lambda: 1 / 0, at=[2], when=lambda epoch: epoch == 1)
    with pytest.raises(ZeroDivisionError):
        fit_served(cut, epochs=2)
    keras.utils.set_random_seed(77)
    resumed = recording(noisy(), resume=True, **files)
    heard = Sentence(resumed)

    fit_served(resumed, epochs=2)

    assert heard.text == "TEBbBbetC"
    for one, other in zip(weights_of(resumed), weights_of(whole), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_that_was_complete_trains_no_more(tmp_path: Path) -> None:
    files = {"save_path": tmp_path / "model.h5"}
    fit(recording(linear(), **files), epochs=2)
    resumed = recording(linear(), resume=True, **files)
    heard = Sentence(resumed)

    fit(resumed, epochs=2)

    assert heard.text == "TtC"
    assert resumed.run.exit_reason == "completed"


@pytest.mark.parametrize("fails", [False, True])
def test_a_later_fit_without_callbacks_begins_at_the_first_epoch(fails: bool, tmp_path: Path) -> None:
    cut_short(tmp_path)
    resumed, epochs = recording(noisy(), save_path=tmp_path / "model.h5", resume=True), Epochs()
    if fails:
        resumed.bus.subscribe("epoch_end", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError) if fails else contextlib.nullcontext():
        fit(resumed, epochs=4, shuffle=True)

    resumed.model().keras_model.fit(*data(), epochs=2, verbose=0, callbacks=[epochs])

    assert epochs.seen == [0, 1]


class Failing(keras.callbacks.Callback):  # type: ignore[misc]  # untyped framework
    """Raises when a fit begins."""

    def on_train_begin(self, logs: Any = None) -> None:
        raise ZeroDivisionError


def test_a_fit_that_fails_before_its_first_epoch_leaves_no_epoch_behind_to_begin_at(tmp_path: Path) -> None:
    cut_short(tmp_path)
    resumed, epochs = recording(noisy(), save_path=tmp_path / "model.h5", resume=True), Epochs()
    with pytest.raises(ZeroDivisionError):
        fit(resumed, epochs=4, others=[Failing()])

    resumed.model().keras_model.fit(*data(), epochs=2, verbose=0, callbacks=[epochs])

    assert epochs.seen == [0, 1]


# -- driven by its hooks -----------------------------------------------------------------------------------


class Tracker:
    """As much of a `keras.metrics.Mean` as the loop looks at."""

    name = "loss"

    def __init__(self) -> None:
        value = np.zeros(())
        self.count = SimpleNamespace(value=value, numpy=lambda: value)


class Trained:
    """As much of a model as the loop looks at while it is trained."""

    def __init__(self, *trackers: Tracker, steps_per_execution: int = 1) -> None:
        self.steps_per_execution = steps_per_execution
        self.metrics = trackers
        self.metrics_variables = [one.count for one in trackers]
        self.stop_training = False
        self._initial_epoch = None
        self._jax_state = {"metrics_variables": [one.count.value for one in trackers]}

    def jax_state_sync(self) -> None:
        """Do nothing: the state is nowhere else."""


class Hooks:
    """A loop whose hooks are called as fit would call them."""

    def __init__(self, *trackers: Tracker, steps: int | None = 2, steps_per_execution: int = 1) -> None:
        self.callbacks = recording(SimpleNamespace())
        self.heard = Sentence(self.callbacks)
        self.loop = KerasLoop(self.callbacks)
        self.loop.set_model(Trained(*trackers, steps_per_execution=steps_per_execution))
        self.loop.set_params({"epochs": 1, "steps": steps})
        self.loop.on_train_begin()
        self.loop.on_epoch_begin(0)

    def step(self, logs: dict[str, Any] | None) -> None:
        self.loop.on_train_batch_begin(0)
        self.loop.on_train_batch_end(0, logs)

    def costs(self) -> Floats:
        """End the run; return the cost of each minibatch."""
        self.loop.on_epoch_end(0)
        self.loop.on_train_end()
        costs: Floats = self.callbacks.callback_data[keys.TRAIN_COST][:]
        return costs


@pytest.fixture(params=["torch", "jax", "tensorflow"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have Keras say that it is on one of its backends; nothing is computed."""
    name: str = request.param
    monkeypatch.setattr(keras.backend, "backend", lambda: name)
    return name


def test_several_steps_in_one_execution_are_one_minibatch() -> None:
    hooks = Hooks(steps=5, steps_per_execution=2)

    assert hooks.callbacks.run.minibatches_per_epoch == 3


def test_a_minibatch_of_which_no_loss_is_told_has_no_cost() -> None:
    hooks = Hooks()

    hooks.step({"accuracy": 0.5})
    hooks.step(None)

    assert [math.isnan(cost) for cost in hooks.costs()] == [True, True]


def test_a_loss_that_nobody_averages_is_the_cost_itself() -> None:
    hooks = Hooks()

    hooks.step({"loss": 4.0})
    hooks.step({"loss": 3.0})

    np.testing.assert_array_equal(hooks.costs(), [4.0, 3.0])


@pytest.mark.usefixtures("backend")
def test_a_tracker_that_never_moves_tells_of_no_mean() -> None:
    hooks = Hooks(Tracker())

    hooks.step({"loss": 4.0})
    hooks.step({"loss": 3.0})

    np.testing.assert_array_equal(hooks.costs(), [4.0, 3.0])


@pytest.mark.usefixtures("backend")
def test_a_mean_is_undone_by_what_its_tracker_counts() -> None:
    tracker = Tracker()
    hooks = Hooks(tracker, steps=3)

    for count, mean in ((8, 4.0), (16, 3.0), (20, 2.8)):  # 8 samples of 4, 8 of 2, 4 of 2
        tracker.count.value[...] = count
        hooks.step({"loss": mean})

    np.testing.assert_allclose(hooks.costs(), [4.0, 2.0, 2.0])


def test_a_mean_that_somebody_begins_anew_amid_an_epoch_is_the_cost_of_its_minibatch() -> None:
    tracker = Tracker()
    hooks = Hooks(tracker, steps=3)

    for count, mean in ((16, 4.0), (8, 3.0), (16, 5.0)):  # anew after the first: 8 samples of 3, 8 of 7
        tracker.count.value[...] = count
        hooks.step({"loss": mean})

    np.testing.assert_allclose(hooks.costs(), [4.0, 3.0, 7.0])


def test_a_minibatch_that_may_not_come_begins_when_it_has(backend: str) -> None:
    hooks = Hooks(steps=None)

    hooks.loop.on_train_batch_begin(0)
    begun = hooks.heard.text
    hooks.loop.on_train_batch_end(0, {"loss": 1.0})
    if backend != "torch":  # there Keras only finds out now that there are no more
        hooks.loop.on_train_batch_begin(1)
    hooks.costs()

    assert begun == ("TEB" if backend == "torch" else "TE")
    assert hooks.heard.text == "TEBbetC"


# -- the other backend -------------------------------------------------------------------------------------


@pytest.mark.skipif("KERAS_OTHER_BACKEND" in os.environ, reason="this is the run on the other backend")
def test_all_of_this_holds_on_the_other_backend_too(tmp_path: Path) -> None:
    other = "jax" if keras.backend.backend() == "torch" else "torch"
    tests = Path(__file__).parents[1]
    chosen = [
        tests / "loops" / "test_keras.py",
        tests / "models" / "keras",
        tests / "loops" / "test_contract.py",
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-k",
        "keras",
        *map(str, chosen),
    ]
    environment = os.environ | {
        "KERAS_BACKEND": other,
        "KERAS_OTHER_BACKEND": other,
        "XLA_FLAGS": "--xla_backend_optimization_level=0",  # compiling takes the most time
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    done = subprocess.run(
        command, cwd=tests.parent, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout
