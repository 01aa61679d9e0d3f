"""`keras.Model.fit`, on the backend that Keras was imported with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import torch

from tests.support.linear_problem import FEATURES, LEARNING_RATE, Floats, batches
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks
from trainsignal.loops.keras import KerasLoop
from trainsignal.models.keras import KerasModel


class Batches(torch.utils.data.IterableDataset):  # type: ignore[misc]  # untyped framework
    """Yields whole batches."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
        return iter(self.source)


class SizedBatches(Batches):
    """One that tells how many there are."""

    def __len__(self) -> int:
        return len(self.source)


class Failing(keras.callbacks.Callback):  # type: ignore[misc]  # untyped framework
    """Raises where the plan says so, as the loop's body would."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.epoch = -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch += 1

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.plan.fail_if_due(self.epoch, batch)


def new_model() -> KerasModel:
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((FEATURES,)), dense])
    model.compile(optimizer=keras.optimizers.SGD(LEARNING_RATE), loss="mse")
    return KerasModel(model)


def train(callbacks: Callbacks, plan: Plan) -> None:
    served = callbacks.serve(batches(plan.minibatches))
    data = SizedBatches(served) if plan.is_length_known else Batches(served)
    callbacks.model().keras_model.fit(
        torch.utils.data.DataLoader(data, batch_size=None),
        epochs=plan.epochs,
        verbose=0,
        shuffle=False,
        callbacks=[KerasLoop(callbacks), Failing(plan)],
    )


SUBJECT = Subject(
    "keras",
    new_model,
    train,
    needs_guard=True,
    refuses_empty=ValueError if keras.backend.backend() == "torch" else StopIteration,  # it looks for a shape
    heard_of_empty="",
    warns=(
        "Your input ran out of data",  # at the end of each epoch of unknown length
        "__array__ implementation doesn't accept a copy",  # NumPy, of how Keras converts PyTorch's tensors
    ),
)
