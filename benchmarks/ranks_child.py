"""One of the ranks of `benchmarks.ranks`, which starts it: trains by turns with callbacks and without."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter, thread_time
from typing import Any, Final

import numpy as np
import torch
import torch.distributed as dist

from benchmarks.ranks import ALONE, ALONE_EVALUATING, OURS, OURS_EVALUATING
from trainsignal import Callbacks, ProgressBarCallback
from trainsignal.distributed.torch import TorchCommunicator
from trainsignal.models.torch import TorchModel

BATCH_SIZE: Final = 64
FEATURES, HIDDEN, CLASSES = 784, 512, 10
HELD_OUT: Final = 512
"""Samples of each rank's part of the evaluation set."""


class TimedPending:
    """A collective that notes when it is over."""

    def __init__(self, inner: Any, note: Callable[[float], object]) -> None:
        self._inner = inner
        self._note = note
        self._began = perf_counter()

    def is_done(self) -> bool:
        """Ask the one that is timed."""
        return bool(self._inner.is_done())

    def result(self) -> Any:
        """Return its result, and note the seconds since it was started."""
        result = self._inner.result()
        self._note(perf_counter() - self._began)
        return result


class TimedCommunicator:
    """Passes everything on, and notes what each collective takes, from its start on this rank, in seconds."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.name, self.rank, self.size = inner.name, inner.rank, inner.size
        self.open, self.close = inner.open, inner.close
        self.spent_s: list[float] = []

    def start_sum(self, values: Any) -> Any:
        """Start a sum."""
        return TimedPending(self._inner.start_sum(values), self.spent_s.append)

    def start_gather(self, row: Any) -> Any:
        """Start a gather."""
        return TimedPending(self._inner.start_gather(row), self.spent_s.append)


class Training:
    """A network of 0.7 million weights, 784-512-512-10, in DDP, and this rank's part of the data.

    Attributes:
        steps_s: what steps have taken of this thread's processor time.
    """

    def __init__(self, rank: int, minibatches: int) -> None:
        torch.manual_seed(0)
        network = torch.nn.Sequential(
            torch.nn.Linear(FEATURES, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, HIDDEN),
            torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES),
        )  # fmt: skip
        self.network = torch.nn.parallel.DistributedDataParallel(network)
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.01)
        self.loss = torch.nn.CrossEntropyLoss()
        torch.manual_seed(1 + rank)
        self.batches = [self.batch() for _ in range(minibatches)]
        self.steps_s = 0.0
        self.held_out = [self.batch() for _ in range(HELD_OUT // BATCH_SIZE)]

    @staticmethod
    def batch() -> tuple[Any, Any]:
        """Return random inputs and targets."""
        return torch.rand(BATCH_SIZE, FEATURES), torch.randint(CLASSES, (BATCH_SIZE,))

    def step(self, x: Any, y: Any) -> Any:
        """Train on one minibatch, and return its loss."""
        began = thread_time()
        self.optimizer.zero_grad()
        loss = self.loss(self.network(x), y)
        loss.backward()
        self.optimizer.step()
        self.steps_s += thread_time() - began
        return loss

    def evaluate(self) -> float:
        """Return the loss over all ranks' parts of the evaluation set, as a script would by hand."""
        self.network.eval()
        with torch.no_grad():
            total = sum(self.loss(self.network.module(x), y) * len(x) for x, y in self.held_out)
        self.network.train()
        together = torch.stack([total, torch.tensor(float(HELD_OUT))])
        dist.all_reduce(together)
        return float(together[0] / together[1])


@dataclass
class Measured:
    """An endless run whose epochs are timed.

    Attributes:
        callbacks: of a run that has begun.
        communicator: of that run.
        at_ends: collectives of each epoch's end.
        sums_s: what each of these took.
        amid_epochs: collectives elsewhere in epochs.
    """

    callbacks: Callbacks
    communicator: TimedCommunicator
    at_ends: list[int] = field(default_factory=list)
    sums_s: list[list[float]] = field(default_factory=list)
    amid_epochs: int = 0

    def epoch(self, training: Training) -> None:
        """Train for an epoch, with callbacks."""
        run, spent_s = self.callbacks.run, self.communicator.spent_s
        spent_s.clear()
        epoch = run.epochs_complete
        self.callbacks.on_epoch_begin(epoch)
        for x, y in run.minibatches(training.batches):
            run.cost = training.step(x, y)
        self.amid_epochs += len(spent_s)
        spent_s.clear()
        self.callbacks.on_epoch_end(epoch)
        self.at_ends.append(len(spent_s))
        self.sums_s.append(list(spent_s))


def measured(training: Training, folder: Path, minibatches: int, eval_set: Any) -> Measured:
    """Return a run with neon's default callbacks, an archive on disk, and no terminal.

    Args:
        training: what is trained.
        folder: of the archive.
        minibatches: of an epoch.
        eval_set: for LossCallback; None: without.
    """
    model = TorchModel(training.network, loss=training.loss, optimizer=training.optimizer)
    communicator = TimedCommunicator(TorchCommunicator())
    evaluating = {} if eval_set is None else {"eval_set": eval_set, "eval_freq": 1}
    archive = folder / ("alone.h5" if eval_set is None else "evaluating.h5")
    callbacks = Callbacks(model, output_file=archive, communicator=communicator, **evaluating)
    callbacks.callbacks = [
        ProgressBarCallback(stream=io.StringIO()) if isinstance(one, ProgressBarCallback) else one
        for one in callbacks.callbacks
    ]
    callbacks.run.minibatches_per_epoch = minibatches
    return Measured(callbacks, communicator)


def child(folder: Path, minibatches: int, rounds: int) -> None:
    """Be one of the ranks: train by turns, and leave what was measured in `folder`."""
    dist.init_process_group("gloo")
    training = Training(dist.get_rank(), minibatches)
    runs = {
        OURS: measured(training, folder, minibatches, None),
        OURS_EVALUATING: measured(training, folder, minibatches, training.held_out),
    }

    def alone() -> None:
        for x, y in training.batches:
            training.step(x, y)

    def alone_evaluating() -> None:
        alone()
        training.evaluate()

    cases = {
        ALONE: alone, OURS: lambda: runs[OURS].epoch(training),
        ALONE_EVALUATING: alone_evaluating, OURS_EVALUATING: lambda: runs[OURS_EVALUATING].epoch(training),
    }  # fmt: skip
    with ExitStack() as stack:
        for one in runs.values():
            stack.enter_context(one.callbacks.training(rounds + 1, minibatches=minibatches))
        epochs_s, besides_s = timed_in_turn(cases, rounds, dist.barrier, training)
        quiet_sums_s = [two_sums_s(runs[OURS].callbacks.run.ranks, dist.barrier) for _ in range(200)]
    answer = {
        "epochs_s": epochs_s,
        "besides_s": besides_s,
        "at_ends": {name: one.at_ends for name, one in runs.items()},
        "sums_s": {name: one.sums_s[1:] for name, one in runs.items()},
        "amid_epochs": sum(one.amid_epochs for one in runs.values()),
        "quiet_sums_s": quiet_sums_s,
    }
    (folder / f"rank{dist.get_rank()}.json").write_text(json.dumps(answer))
    dist.destroy_process_group()


def timed_in_turn(
    cases: Mapping[str, Callable[[], object]],
    rounds: int,
    barrier: Callable[[], object],
    training: Training,
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Run each case so many times, after a round that does not count, in a changing order.

    Returns:
        Seconds until all ranks are done; those for which this thread computes besides the steps.
    """
    spent_s: dict[str, list[float]] = {name: [] for name in cases}
    besides_s: dict[str, list[float]] = {name: [] for name in cases}
    shuffle, order = Random(0).shuffle, list(cases)  # on all ranks alike
    for number in range(rounds + 1):
        shuffle(order)
        for name in order:
            barrier()
            training.steps_s = 0.0
            began, thread_began = perf_counter(), thread_time()
            cases[name]()
            computed_s = thread_time() - thread_began
            barrier()
            if number:
                spent_s[name].append(perf_counter() - began)
                besides_s[name].append(computed_s - training.steps_s)
    return spent_s, besides_s


def two_sums_s(ranks: Any, barrier: Callable[[], object]) -> float:
    """Return what a sum of 64 values and then one of a single value take."""
    barrier()
    began = perf_counter()
    ranks.together.sum(np.zeros(64))
    ranks.together.sum(np.zeros(1))
    return perf_counter() - began


if __name__ == "__main__":
    child(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
