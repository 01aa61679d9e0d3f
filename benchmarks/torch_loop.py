"""What do neon's default callbacks add to a training step of PyTorch, in a loop written by hand?"""

from __future__ import annotations

import io
import tempfile
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.harness import Case, Goal, Table, interleaved, main
from trainsignal import Callbacks, ProgressBarCallback
from trainsignal.models.torch import TorchModel

EPOCHS, MINIBATCHES, BATCH_SIZE = 2, 250, 64
FEATURES, HIDDEN, CLASSES = 784, 128, 10
PLAIN, OURS = "loop alone", "loop with the default callbacks"


class Training:
    """A small network, 784-128-10, and its data."""

    def __init__(self) -> None:
        import torch

        torch.manual_seed(0)
        self.module = torch.nn.Sequential(
            torch.nn.Linear(FEATURES, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES)
        )
        self.optimizer = torch.optim.SGD(self.module.parameters(), lr=0.01, momentum=0.9)
        self.loss = torch.nn.CrossEntropyLoss()
        inputs = torch.rand(MINIBATCHES, BATCH_SIZE, FEATURES)
        targets = torch.randint(CLASSES, (MINIBATCHES, BATCH_SIZE))
        self.batches = list(zip(inputs, targets, strict=True))

    def step(self, x: Any, y: Any) -> Any:
        """Train on one minibatch, and return its loss."""
        self.optimizer.zero_grad()
        loss = self.loss(self.module(x), y)
        loss.backward()
        self.optimizer.step()
        return loss


def train_alone() -> float:
    """Return the seconds of the minibatches."""
    training, spent = Training(), 0.0
    for _ in range(EPOCHS):
        began = perf_counter()
        for x, y in training.batches:
            training.step(x, y)
        spent += perf_counter() - began
    return spent


def train_with_callbacks(folder: Path) -> float:
    """Return the same with an archive on disk, and no terminal."""
    training, spent = Training(), 0.0
    model = TorchModel(training.module, loss=training.loss, optimizer=training.optimizer)
    callbacks = Callbacks(model, output_file=folder / "run.h5")
    callbacks.callbacks = [
        ProgressBarCallback(stream=io.StringIO()) if isinstance(one, ProgressBarCallback) else one
        for one in callbacks.callbacks
    ]
    with callbacks.training(EPOCHS) as run:
        for _ in run.epochs():
            began = perf_counter()
            for x, y in run.minibatches(training.batches):
                run.cost = training.step(x, y)
            spent += perf_counter() - began
    return spent


def measure(quick: bool) -> Table:
    """Train with and without."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def clean() -> None:
            (folder / "run.h5").unlink(missing_ok=True)

        cases = [
            Case(PLAIN, train_alone, EPOCHS * MINIBATCHES, before=clean),
            Case(OURS, lambda: train_with_callbacks(folder), EPOCHS * MINIBATCHES, before=clean),
        ]
        rows = interleaved(cases, repeats=1 if quick else 15)
    table = Table("default callbacks on a small network of PyTorch", "us per minibatch", 1e6, PLAIN, rows)
    added = 100 * (table.ratio(OURS) - 1)
    table.goals.append(Goal("at most 3 % more", f"{added:.1f} %", added <= 3))
    return table


if __name__ == "__main__":
    main(measure)
