"""`KerasLoop`: plugs callbacks into `fit` of Keras 3, on its PyTorch and JAX backends.

Publishes what Keras tells, and nothing of `evaluate` and `predict`. Keras tells no callback that its loop
raised, so a `with` block around the fit closes the run:

    model.compile(optimizer="adam", loss="mse")
    callbacks = Callbacks(KerasModel(model), output_file="run.h5")
    with callbacks:
        model.fit(x, y, epochs=10, validation_data=(x_val, y_val), callbacks=[KerasLoop(callbacks)])
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trainsignal.container import Callbacks
from trainsignal.errors import ConfigurationError
from trainsignal.extras import require
from trainsignal.loop_driver import LoopDriver

keras: Any = require("keras", extra="keras", user="trainsignal.loops.keras", at_least="3.8")


class KerasLoop(keras.callbacks.Callback):  # type: ignore[misc]  # untyped framework
    """Drives a `Callbacks` object from `keras.Model.fit`; pass it to fit in a list.

    The values of each epoch's `logs` become "metrics/<name>". The cost of a minibatch is its mean loss with
    all that Keras adds to it, such as regularization. It is worked out from the mean over the epoch so far,
    in float32, which is all that Keras tells: after n minibatches it is exact to about n * 1e-7 of that mean,
    and from a NaN on it is NaN to the end of the epoch.

    With `steps_per_execution=k`, of which Keras tells as of one step, k batches are one minibatch. A vote to
    stop is heeded after a minibatch or an epoch: one at an epoch's begin comes after its first minibatch. On
    the JAX backend Keras announces a minibatch before it knows that there is one. Where the number of steps
    is unknown, `minibatch_begin` is therefore published after the step, just before `minibatch_end`.

    A resumed run begins with the first epoch that is not complete, as `fit(initial_epoch=...)` would; within
    it, where a PyTorch `DataLoader` takes the batches of `callbacks.serve(...)`.
    """

    def __init__(self, callbacks: Callbacks, loss: str = "val_loss") -> None:
        """Store what is driven.

        Args:
            callbacks: made with the model that is trained, or a wrapper around it.
            loss: name in `logs` of the value that is the loss of the evaluation set, for "cost/loss".
        """
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  # untyped framework
        self._driver = LoopDriver(callbacks, "keras")
        self._loss = loss
        self._trained: Any = None
        self._cost = _MinibatchCost(lambda: 0.0)
        self._directions: Mapping[str, bool] = {}
        self._initial_epoch: int | None = None
        self._is_length_known = self._begins_late = False
        self._thread = 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Begin the run.

        Raises:
            ConfigurationError: `Callbacks` was given another Keras model than the one that is trained.
            TrainSignalError: what else is wrong with the wiring, the files or the model.
        """
        model = self.model  # a look at it brings JAX's state into it, which takes long
        _check_is_trained(self._driver.model, model)
        epochs, steps = self.params["epochs"], self.params["steps"]
        minibatches = None if steps is None else -(-steps // model.steps_per_execution)
        self._trained, self._initial_epoch = model, model._initial_epoch
        self._thread = threading.get_ident()
        self._is_length_known = steps is not None
        self._cost = _MinibatchCost(_count_of_loss(model))
        self._directions = _directions(model)
        self._driver.callbacks.bus.subscribe("run_closed", self._let_go)
        self._driver.begin(epochs, minibatches, loss=self._loss)
        if self._driver.should_stop("epoch"):
            model._initial_epoch = epochs  # as Keras's BackupAndRestore does: fit asks for it after this
        elif self._driver.run.is_resumed:
            model._initial_epoch = self._driver.run.epochs_complete

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Begin an epoch, which is Keras's: its first is the `initial_epoch` of fit."""
        self._let_go()
        run = self._driver.run
        if epoch > run.epochs_complete:
            self._driver.go_on(epoch, run.minibatches_complete)
        self._driver.begin_epoch()
        self._cost.begin_epoch()
        is_whole = self._is_length_known and not run.epoch_minibatches
        self._begins_late = not is_whole and keras.backend.backend() != "torch"

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Begin a minibatch."""
        if not self._begins_late:
            self._driver.begin_minibatch()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """End a minibatch.

        Raises:
            ConfigurationError: fit was given the loop itself, in no list: Keras then calls it from threads.
        """
        if threading.get_ident() != self._thread:
            raise ConfigurationError(
                "fit(callbacks=KerasLoop(...)) has Keras call it from several threads, in any order: pass a "
                "list, fit(callbacks=[KerasLoop(...)])"
            )
        driver = self._driver
        if self._begins_late:
            driver.begin_minibatch()
        if driver.end_minibatch(self._cost.out_of(logs.get("loss") if logs else None)):
            self._trained.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Report Keras's values of the epoch, those of its validation too, and end it."""
        values = logs or {}
        told = {name: self._directions[name] for name in values if name in self._directions}
        self._driver.report(values, higher_is_better=told)
        self._driver.end_epoch()
        if self._driver.should_stop("epoch"):
            self._trained.stop_training = True

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """End the run."""
        self._driver.end()

    def _let_go(self) -> None:
        """Have the model begin a later fit where that says."""
        self._trained._initial_epoch = self._initial_epoch


class _MinibatchCost:
    """Works out the cost of a minibatch from the mean over its epoch so far.

    Args:
        count: returns how many samples that mean is of; where it does not change, what is told is no mean.
    """

    def __init__(self, count: Callable[[], float]) -> None:
        self._read_count = count
        self._total = self._count = 0.0

    def begin_epoch(self) -> None:
        """Begin a new mean."""
        self._total = self._count = 0.0

    def out_of(self, mean: float | None) -> float | None:
        """Return the cost of the minibatch after which `mean` was told; None where none was."""
        if mean is None:
            return None
        count = self._read_count()
        samples, total = count - self._count, mean * count
        cost = mean
        if samples > 0:  # else nobody counts, or the mean was begun anew
            cost = (total - self._total) / samples
        self._total, self._count = total, count
        return cost


def _count_of_loss(model: Any) -> Callable[[], float]:
    """Return what reads, at a minibatch's end, over how many samples the mean of the loss is so far.

    The loss tracker of a `train_step` of the user's own may count otherwise, by minibatches say, or not at
    all. The count lies beside the loss, which Keras has fetched from the device just then.
    """
    trackers = [one for one in model.metrics if one.name == "loss" and hasattr(one, "count")]
    if not trackers:
        return lambda: 0.0
    count, backend = trackers[-1].count, keras.backend.backend()
    if backend == "jax":  # amid an epoch the variables are empty, and fit has their values here
        place = next(at for at, one in enumerate(model.metrics_variables) if one is count)
        return lambda: float(np.asarray(model._jax_state["metrics_variables"][place]))
    if backend == "torch":  # its tensor is changed in place
        read: Callable[[], float] = count.value.item
        return read
    return lambda: float(count.numpy())


def _directions(model: Any) -> dict[str, bool]:
    """Return, for names in `logs`, whether higher values are better, as far as Keras's own callbacks know."""
    metrics = [inner for one in model.metrics for inner in getattr(one, "metrics", (one,))]
    known = {one.name: getattr(one, "_direction", None) for one in metrics} | {"loss": "down"}
    return {
        f"{prefix}{name}": direction == "up"
        for name, direction in known.items()
        if direction is not None
        for prefix in ("", "val_")
    }


def _check_is_trained(given: Any, trained: Any) -> None:
    """Refuse callbacks that would look at another model than the one that is trained."""
    inner = getattr(given, "keras_model", given)
    if isinstance(inner, keras.Model) and inner is not trained:
        raise ConfigurationError(
            f"Callbacks was given the Keras model {inner.name!r}, and fit trains {trained.name!r}: make "
            "Callbacks with the model that is trained, Callbacks(KerasModel(model), ...)"
        )
