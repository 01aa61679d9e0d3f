"""What do neon's default callbacks cost a minibatch, with the archive on disk and no terminal?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import h5py
import numpy as np

from benchmarks.harness import Case, Goal, Table, interleaved, main
from benchmarks.subjects import MINIBATCHES, FakeModel, both_case, with_defaults
from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
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
EPOCH_MINIBATCHES = 500
BATCH_SIZE = 32

NO_OP = "object that does nothing"
HOOKS = "minibatch_begin + end alone"
EPOCHS_TOO = "loop of 4 epochs"
TRAINING_TOO = "loop of 4 epochs, begin and end of training"
IN_NETWORK = "minibatch_begin + end amid a network's training"
NETWORK = "a minibatch of that network itself"
ROW = "one row written by h5py"
"""neon's TrainCost does so at each minibatch."""


class SixCalls(Protocol):
    """What a training loop calls."""

    def on_train_begin(self, epochs: int) -> None: ...
    def on_train_end(self) -> None: ...
    def on_epoch_begin(self, epoch: int) -> None: ...
    def on_epoch_end(self, epoch: int) -> None: ...
    def on_minibatch_begin(self, epoch: int, minibatch: int) -> None: ...
    def on_minibatch_end(self, epoch: int, minibatch: int) -> None: ...


Make: TypeAlias = Callable[[Any, Path], SixCalls]
"""Makes what a loop calls, for a model and the path of an archive."""


class NoCallbacks:
    """Takes the six calls and does nothing."""

    def on_train_begin(self, epochs: int) -> None:
        """Do nothing."""

    def on_train_end(self) -> None:
        """Do nothing."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Do nothing."""

    def on_epoch_end(self, epoch: int) -> None:
        """Do nothing."""

    def on_minibatch_begin(self, epoch: int, minibatch: int) -> None:
        """Do nothing."""

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        """Do nothing."""


class Stopwatch(NoCallbacks):
    """Hands on to other callbacks and adds up the time spent in their minibatch calls."""

    def __init__(self, callbacks: SixCalls) -> None:
        self.on_train_end = callbacks.on_train_end  # type: ignore[method-assign]
        self.on_epoch_begin = callbacks.on_epoch_begin  # type: ignore[method-assign]
        self.on_epoch_end = callbacks.on_epoch_end  # type: ignore[method-assign]
        self.callbacks = callbacks
        self.spent_s = 0.0

    def on_minibatch_begin(self, epoch: int, minibatch: int) -> None:
        began = perf_counter()
        self.callbacks.on_minibatch_begin(epoch, minibatch)
        self.spent_s += perf_counter() - began

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        began = perf_counter()
        self.callbacks.on_minibatch_end(epoch, minibatch)
        self.spent_s += perf_counter() - began


def measure(quick: bool) -> Table:
    """Run loops that compute nothing, and train a network, with neon's default callbacks and without."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = stack.enter_context(h5py.File("rows", "w", driver="core", backing_store=False))
        hooks = with_defaults(folder / "hooks.h5", FakeModel(), epochs=None)
        cases = [
            loop_case(NO_OP, folder, with_nothing),
            loop_case(EPOCHS_TOO, folder, started),
            loop_case(TRAINING_TOO, folder, started, whole=True),
            both_case(HOOKS, hooks),
            row_case(file),
        ]
        timings = interleaved(cases, repeats=2 if quick else 100)
        hooks.on_train_end()
        cases = [
            network_case(NO_OP, folder, with_nothing),
            network_case(IN_NETWORK, folder, started),
            network_case(NETWORK, folder, with_nothing, whole=True),
        ]
        in_network = interleaved(cases, repeats=1 if quick else 12)
    rows = {
        ROW: timings[ROW],
        **{name: timings[name].minus(timings[NO_OP]) for name in (HOOKS, EPOCHS_TOO, TRAINING_TOO)},
        IN_NETWORK: in_network[IN_NETWORK].minus(in_network[NO_OP]),
        NETWORK: in_network[NETWORK],
    }
    question = "neon's default callbacks, archive on disk, no terminal"
    table = Table(question, "us per minibatch", 1e6, ROW, rows)
    for name in (HOOKS, EPOCHS_TOO, IN_NETWORK):
        us = table.minimum(name)
        table.goals.append(Goal(f"at most 4 us, {name}", f"{us:.2f} us", us <= 4))
    minibatches = EPOCHS * EPOCH_MINIBATCHES
    once_ms = (table.minimum(TRAINING_TOO) - table.minimum(EPOCHS_TOO)) * minibatches / 1000
    table.notes += [
        "the same with an object that does nothing is taken off; an epoch has 500 minibatches",
        f"begin and end of training cost {once_ms:.1f} ms a run, spread over {minibatches} minibatches here",
    ]
    return table


def with_nothing(model: Any, path: Path) -> SixCalls:
    """Return an object that does nothing."""
    return NoCallbacks()


def started(model: Any, path: Path) -> SixCalls:
    """Return neon's defaults in a run that has begun."""
    return with_defaults(path, model, EPOCHS)


def loop_case(name: str, folder: Path, make: Make, *, whole: bool = False) -> Case:
    """Run a loop that computes nothing; `whole`: begin and end of training count as well."""
    path = folder / "loop.h5"

    def run() -> float | None:
        model = FakeModel(EPOCH_MINIBATCHES)
        callbacks = make(model, path)
        began = perf_counter()
        for epoch in range(EPOCHS):
            callbacks.on_epoch_begin(epoch)
            for minibatch in range(EPOCH_MINIBATCHES):
                callbacks.on_minibatch_begin(epoch, minibatch)
                model.cost.cost = 0.5
                callbacks.on_minibatch_end(epoch, minibatch)
            callbacks.on_epoch_end(epoch)
        spent = perf_counter() - began
        callbacks.on_train_end()
        return None if whole else spent

    return Case(name, run, EPOCHS * EPOCH_MINIBATCHES, after=lambda: path.unlink(missing_ok=True))


def network_case(name: str, folder: Path, make: Make, *, whole: bool = False) -> Case:
    """Train a small network, 64-32-10, and count the time in the minibatch calls; `whole`: all of it."""
    path = folder / "network.h5"
    generator = np.random.default_rng(0)
    pixels = generator.random((EPOCH_MINIBATCHES * BATCH_SIZE, 64), dtype=np.float32)
    digits = generator.integers(10, size=len(pixels))
    init = Gaussian(scale=0.1)

    def run() -> float | None:
        train_set = ArrayIterator(pixels, digits, nclass=10, batch_size=BATCH_SIZE)
        model = Model(
            [
                Affine(nout=32, init=init, bias=Constant(0), activation=Rectlin()),
                Affine(nout=10, init=init, bias=Constant(0), activation=Softmax()),
            ]
        )
        model.nbatches, model.ndata = train_set.nbatches, train_set.ndata
        stopwatch = Stopwatch(make(model, path))
        cost = GeneralizedCost(CrossEntropyMulti())
        model.fit(train_set, cost, GradientDescentMomentum(0.1, 0.9), EPOCHS, stopwatch)
        return None if whole else stopwatch.spent_s

    return Case(name, run, EPOCHS * EPOCH_MINIBATCHES, after=lambda: path.unlink(missing_ok=True))


def row_case(file: h5py.File) -> Case:
    """Write a row a minibatch, as neon's TrainCost does, among what else it does."""
    file.create_dataset("cost/train", (MINIBATCHES // 10,), "f4")

    def run() -> None:
        for row in range(MINIBATCHES // 10):
            file["cost/train"][row] = 0.5

    return Case(ROW, run, MINIBATCHES // 10)


if __name__ == "__main__":
    main(measure)
