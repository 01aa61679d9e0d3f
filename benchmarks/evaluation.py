"""What do six metrics cost beside the loss, evaluated on one set at one epoch's end?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.harness import Case, Goal, Table, interleaved, main
from trainsignal import Callback, Callbacks, LossCallback, MetricCallback
from trainsignal.models.numpy_net import (
    Accuracy,
    Affine,
    ArrayIterator,
    Constant,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    Misclassification,
    Model,
    PrecisionRecall,
    Rectlin,
    Softmax,
    TopKMisclassification,
)

SAMPLES = 2_000
BATCH_SIZE = 128
FEATURES = 784
CLASSES = 10

LOSS = "the loss alone"
SHARED = "the loss and six metrics"
SEVEN = "the loss and six metrics, a pass each, as neon"
AIM = 1.25


class Anything(Callback):
    """Might change the model, for all that it says: each evaluation needs a pass of its own."""

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        """Do nothing."""


def measure(quick: bool) -> Table:
    """Publish `epoch_end` of a network as for handwritten digits, 784-1024-1024-10, with its callbacks."""
    valid_set, model = network()
    metrics = (
        Misclassification(), Accuracy(), TopKMisclassification(3), TopKMisclassification(5),
        PrecisionRecall(CLASSES, binarize=True), Accuracy(),
    )  # fmt: skip
    loss, with_metrics = [LossCallback(valid_set)], [MetricCallback(valid_set, metric) for metric in metrics]
    parted = [one for metric in with_metrics for one in (Anything(), metric)]
    cases = [
        case(LOSS, model, [*loss]),
        case(SHARED, model, [*loss, *with_metrics]),
        case(SEVEN, model, [*loss, *parted]),
    ]
    rows = interleaved(cases, repeats=2 if quick else 20)
    table = Table("A loss and six metrics on one evaluation set", "ms per epoch's end", 1e3, LOSS, rows)
    times = table.ratio(SHARED)
    table.goals.append(Goal(f"at most {AIM} times the loss alone", f"{times:.2f} times", times <= AIM))
    return table


def network() -> tuple[ArrayIterator, Model]:
    """Return an evaluation set of random images, and a network for it that was not trained."""
    generator = np.random.default_rng(0)
    images = generator.random((SAMPLES, FEATURES), np.float32)
    digits = generator.integers(0, CLASSES, SAMPLES)
    valid_set = ArrayIterator(images, digits, nclass=CLASSES, batch_size=BATCH_SIZE)
    init = Gaussian(scale=0.05)
    hidden = [Affine(nout=nout, init=init, bias=Constant(0), activation=Rectlin()) for nout in (1024, 1024)]
    model = Model([*hidden, Affine(nout=CLASSES, init=init, bias=Constant(0), activation=Softmax())])
    model.initialize(valid_set, GeneralizedCost(CrossEntropyMulti()))
    return valid_set, model


def case(name: str, model: Model, listening: list[Callback]) -> Case:
    """Time the end of one epoch; all else of the run is not timed."""
    end: list[Callable[[], None]] = []

    def before() -> None:
        callbacks = Callbacks(model, progress_bar=False)
        callbacks.callbacks = listening
        callbacks.on_train_begin(1)
        callbacks.on_epoch_begin(0)
        end[:] = [lambda: callbacks.on_epoch_end(0), callbacks.on_train_end]

    return Case(name, lambda: end[0](), operations=1, before=before, after=lambda: end[1]())


if __name__ == "__main__":
    main(measure)
