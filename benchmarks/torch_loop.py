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

MINIBATCHES, BATCH_SIZE = 600, 64
WARM_UP = 100
"""Not counted: each of the first 64 minibatches of a run is timed for the account of callbacks."""

FEATURES, HIDDEN, CLASSES = 784, 128, 10
STEP, ALONE, OURS = "a step", "besides the step, loop alone", "besides the step, default callbacks"


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


def spent_alone(*, in_steps: bool) -> float:
    """Train for an epoch, and return the seconds in the steps, or besides them."""
    training, steps_s, others_s = Training(), 0.0, 0.0
    ended = perf_counter()
    for minibatch, (x, y) in enumerate(training.batches):
        began = perf_counter()
        if minibatch >= WARM_UP:
            others_s += began - ended
        training.step(x, y)
        ended = perf_counter()
        if minibatch >= WARM_UP:
            steps_s += ended - began
    return steps_s if in_steps else others_s


def spent_with_callbacks(folder: Path) -> float:
    """Return the seconds besides the steps, with an archive on disk, and no terminal."""
    training, others_s = Training(), 0.0
    model = TorchModel(training.module, loss=training.loss, optimizer=training.optimizer)
    callbacks = Callbacks(model, output_file=folder / "run.h5")
    callbacks.callbacks = [
        ProgressBarCallback(stream=io.StringIO()) if isinstance(one, ProgressBarCallback) else one
        for one in callbacks.callbacks
    ]
    with callbacks.training(epochs=1) as run:
        for _ in run.epochs():
            ended = perf_counter()
            for minibatch, (x, y) in enumerate(run.minibatches(training.batches)):
                began = perf_counter()
                if minibatch >= WARM_UP:
                    others_s += began - ended
                loss = training.step(x, y)
                ended = perf_counter()
                run.cost = loss
    return others_s


def measure(quick: bool) -> Table:
    """Train with and without; what the steps take varies by more than that, so it is timed apart."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        def clean() -> None:
            (folder / "run.h5").unlink(missing_ok=True)

        minibatches = MINIBATCHES - WARM_UP
        cases = [
            Case(STEP, lambda: spent_alone(in_steps=True), minibatches),
            Case(ALONE, lambda: spent_alone(in_steps=False), minibatches),
            Case(OURS, lambda: spent_with_callbacks(folder), minibatches, before=clean),
        ]
        rows = interleaved(cases, repeats=1 if quick else 10)
    table = Table("default callbacks on a small network of PyTorch", "us per minibatch", 1e6, STEP, rows)
    added = 100 * (table.ratio(OURS) - table.ratio(ALONE))
    table.goals.append(Goal("at most 3 % of a step", f"{added:.1f} %", added <= 3))
    return table


if __name__ == "__main__":
    main(measure)
