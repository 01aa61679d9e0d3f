"""A run with much state, which can be killed at any of its events and gone on with in another process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.support.neon_reference import arrays, data_set
from trainsignal import Callback, Callbacks, MetricCallback, keys
from trainsignal.models.numpy_net import (
    Accuracy,
    Affine,
    Constant,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    GradientDescentMomentum,
    Model,
    Rectlin,
    Softmax,
)

EPOCHS = 4
EVENTS = (
    "train_begin", "epoch_begin", "minibatch_begin", "minibatch_end", "epoch_end", "checkpoint_saved",
    "train_end", "run_closed",
)  # fmt: skip


class Noise(Callback):
    """Moves the weights by random numbers of a generator of its own and of NumPy's global one."""

    writes = (keys.MODEL,)

    def __init__(self) -> None:
        super().__init__(minibatch_freq=5)
        self.generator = np.random.default_rng(3)

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        weights = model.layers.layers[0].W
        noise = self.generator.normal(size=weights.shape) + np.random.standard_normal(weights.shape)
        weights += 1e-4 * noise.astype(np.float32)


class Plain(Callback):
    """Keeps state in attributes and a dataset of its own, as neon's users do, and changes its frequency."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self.total = 0
        callback_data.create_dataset("mine/total", (1,))
        callback_data.create_dataset("mine/epochs", (epochs,))

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.total += minibatch
        callback_data["mine/total"][0] += minibatch

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.seen.append(epoch)
        self.minibatch_freq = epoch + 2
        callback_data["mine/epochs"][epoch] = self.total


def slower(state: Any, loss: Any) -> tuple[Any, bool]:
    """Keep all losses and never stop."""
    return [*(state or []), float(loss)], False


def train(folder: Path, *, resume: bool = False, kill_at: int | None = None, history: int = 1) -> Callbacks:
    """Train to the end, or until the process is killed.

    Args:
        folder: for all files.
        resume: go on from what is there.
        kill_at: kill this process at the event of this number, counted from 0.
        history: checkpoints to keep.
    """
    np.random.seed(7)
    reference = arrays("mlp")
    init = Gaussian(scale=0.1)
    model = Model(
        [
            Affine(nout=16, init=init, bias=Constant(0.01), batch_norm=False, activation=Rectlin()),
            Affine(nout=10, init=init, bias=Constant(0.01), activation=Softmax()),
        ]
    )
    valid = data_set(reference, "valid")
    callbacks = Callbacks(
        model, eval_set=valid, eval_freq=1, progress_bar=False, output_file=folder / "run.h5",
        save_path=folder / "model.h5", history=history, checkpoint_every=4, resume=resume,
    )  # fmt: skip
    for callback in (Noise(), Plain(), MetricCallback(valid, Accuracy(), epoch_freq=2)):
        callbacks.add_callback(callback)
    callbacks.add_save_best_state_callback(folder / "best.h5")
    callbacks.add_early_stop_callback(slower)
    if kill_at is not None:
        _kill_at(callbacks, kill_at)
    cost, optimizer = GeneralizedCost(CrossEntropyMulti()), GradientDescentMomentum(0.1, 0.9)
    model.fit(data_set(reference, "train"), cost, optimizer, EPOCHS, callbacks)
    return callbacks


def _kill_at(callbacks: Callbacks, number: int) -> None:
    count = 0

    def tick() -> None:
        nonlocal count
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    for name in EVENTS:
        callbacks.bus.subscribe(name, tick, first=True)
        callbacks.bus.subscribe(name, tick)


def outcome(callbacks: Callbacks) -> dict[str, npt.NDArray[Any]]:
    """Return all that has to be the same however often the run was killed: weights and series.

    Times differ, and so do the paths of checkpoints; the row of one is lost where a kill follows at once.
    """
    found = {
        f"{layer.name}.{name}": np.array(values)
        for layer in callbacks.model().layers.layers
        for name, values in layer.params.items()
    }
    found["total_cost"] = np.array(callbacks.model().total_cost)

    def collect(path: str, member: Any) -> None:
        if hasattr(member, "shape") and not path.startswith(("time/", "checkpoints")):
            found[path] = np.array(member)

    callbacks.callback_data.visititems(collect)
    return found
