"""What a test of a run needs: models, streams and clocks, and a recorder of what the run publishes."""

from __future__ import annotations

import io
import re
from typing import Any

from trainsignal import Callbacks
from trainsignal.callbacks import ProgressBarCallback
from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
    Constant,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    GradientDescentMomentum,
    Model,
    Softmax,
)

SENTENCE = re.compile(r"T(E(Bb)*e)*tC")
CUT_SHORT = re.compile(r"(T(E(Bb)*e)*(E(Bb)*B?|t)?)?C")

_LETTERS = {
    "train_begin": "T", "epoch_begin": "E", "minibatch_begin": "B", "minibatch_end": "b", "epoch_end": "e",
    "train_end": "t", "run_closed": "C",
}  # fmt: skip


class Bare:
    """A model that can do nothing."""


class Finishable:
    """A model that a vote can finish, as neon's."""

    def __init__(self) -> None:
        self.finished = False


class Costly:
    """A model with a cost, as neon's."""

    def __init__(self, cost: object) -> None:
        self.cost = type("Cost", (), {})()
        self.cost.cost = cost


class FakeClock:
    """Seconds that pass only when told, or by `step` at each look."""

    def __init__(self, now: float = 100.0, step: float = 0.0) -> None:
        self.now = now
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal, which can show blocks."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Sentence:
    """What a run published, one letter a signal, with the payload of each in `calls`."""

    def __init__(self, callbacks: Callbacks) -> None:
        self.text = ""
        self.calls: list[tuple[Any, ...]] = []
        for name in _LETTERS:
            self._listen(callbacks, name)

    def _listen(self, callbacks: Callbacks, name: str) -> None:
        spec = callbacks.bus.signal(name).spec

        def note(**payload: Any) -> None:
            self.text += _LETTERS[name]
            self.calls.append((name, *(payload[key] for key in spec.payload)))

        callbacks.bus.subscribe(name, note, first=True)


def quiet(model: object = None, **options: Any) -> Callbacks:
    """Return a container without a progress bar."""
    return Callbacks(Bare() if model is None else model, progress_bar=False, **options)


def hand_loop(callbacks: Callbacks, epochs: int | None = 2, minibatches: int = 3, cost: object = 1.0) -> None:
    """Run a hand-written loop to its end."""
    with callbacks.training(epochs) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(minibatches)):
                run.cost = cost


def six_calls(callbacks: Callbacks, epochs: int = 2, minibatches: int = 3) -> None:
    """Drive a container as a framework does that knows nothing of it."""
    callbacks.on_train_begin(epochs)
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for minibatch in range(minibatches):
            callbacks.on_minibatch_begin(epoch, minibatch)
            callbacks.run.cost = 1.0
            callbacks.on_minibatch_end(epoch, minibatch)
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()


def tiny_set(lshape: tuple[int, ...] | None = None) -> ArrayIterator:
    """Return 4 samples of 2 features in 2 minibatches."""
    X = [[0.0, 1.0], [1.0, 0.0], [0.5, 1.0], [1.0, 0.5]]
    return ArrayIterator(X, [0, 1, 0, 1], nclass=2, lshape=lshape, batch_size=2, name="tiny")


def tiny_model() -> Model:
    """Return a network for `tiny_set`, with a cost."""
    model = Model([Affine(nout=2, init=Gaussian(scale=0.1), bias=Constant(0), activation=Softmax())])
    model.initialize(tiny_set(), GeneralizedCost(CrossEntropyMulti()))
    return model


def fit(model: Model, callbacks: Callbacks, epochs: int = 2, dataset: ArrayIterator | None = None) -> None:
    """Train with neon's reference settings."""
    model.fit(
        tiny_set() if dataset is None else dataset,
        GeneralizedCost(CrossEntropyMulti()),
        GradientDescentMomentum(0.1, 0.9),
        epochs,
        callbacks,
    )


def without_progress_bar(callbacks: Callbacks) -> Callbacks:
    """Take the default progress bar out."""
    callbacks.callbacks = [one for one in callbacks.callbacks if not isinstance(one, ProgressBarCallback)]
    return callbacks
