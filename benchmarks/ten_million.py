"""What do ten million minibatches with TrainCost cost, in time and memory, where the archive is published?"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import deque
from pathlib import Path
from time import perf_counter
from typing import Any

import h5py
import numpy as np

from benchmarks.harness import Goal, Table, answer_of_child, main, summarized
from benchmarks.subjects import FakeModel, empty_loop
from trainsignal import Callbacks, TrainCostCallback

EPOCHS = 10
ALONE = "trainsignal, minibatch_begin + end"
PUBLISHED = "trainsignal, epoch ends and publishing included"
NUMPY = "the same means written to a NumPy array"


def measure(quick: bool) -> Table:
    """Run a child of its own, because the peak of memory is that of a process."""
    minibatches = 10_000 if quick else 1_000_000
    answer = answer_of_child("benchmarks.ten_million", minibatches)
    rows = {name: summarized(samples) for name, samples in answer["samples_s"].items()}
    question = f"{EPOCHS * minibatches:,} minibatches with TrainCost, published at each epoch's end"
    table = Table(question, "ns per minibatch", 1e9, NUMPY, rows)
    us = table.minimum(PUBLISHED) / 1000
    mean_us = sum(answer["samples_s"][PUBLISHED]) / EPOCHS * 1e6
    memory = answer["growth_bytes"] / answer["series_bytes"]
    published = answer["published"]
    table.goals += [
        Goal("under 1.5 us each, all included", f"{us:.2f} us", us < 1.5),
        Goal("memory at most 2.5 times the series", f"{memory:.2f} times", memory <= 2.5),
        Goal("archive published at least each epoch", f"{published} of {EPOCHS} epochs", published == EPOCHS),
    ]
    table.notes.append(
        f"peak memory grew by {answer['growth_bytes'] / 2**20:.0f} MiB, the series has "
        f"{answer['series_bytes'] / 2**20:.0f}, the archive {answer['archive_bytes'] / 2**20:.0f}; "
        f"minimum and median over {EPOCHS} epochs of {minibatches:,}; mean {mean_us:.2f} us, all included"
    )
    return table


def child(minibatches: int) -> dict[str, Any]:
    """Train, and beside each epoch run the baseline; return seconds per minibatch, and sizes in bytes."""
    costs = np.empty(minibatches, np.float32)  # the baseline's, there before memory is looked at
    costs.fill(0)
    samples_s: dict[str, list[float]] = {ALONE: [], PUBLISHED: [], NUMPY: []}
    published = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive.h5"
        model = FakeModel(minibatches)
        container = Callbacks(model, output_file=path)
        container.callbacks = [TrainCostCallback()]
        container.bus.subscribe("epoch_end", lambda callback_data: callback_data.publish())
        memory_before = peak_bytes()
        container.on_train_begin(EPOCHS)
        for epoch in range(EPOCHS):
            empty_s = timed(lambda: empty_loop(range(minibatches)))
            samples_s[NUMPY].append((timed(lambda: numpy_epoch(costs, model)) - empty_s) / minibatches)
            seen = path.stat().st_mtime_ns
            began = perf_counter()
            container.on_epoch_begin(epoch)
            alone_s = timed(lambda epoch=epoch: trainsignal_epoch(container, epoch, minibatches))
            container.on_epoch_end(epoch)
            all_s = perf_counter() - began
            samples_s[ALONE].append((alone_s - empty_s) / minibatches)
            samples_s[PUBLISHED].append((all_s - empty_s) / minibatches)
            published += path.stat().st_mtime_ns > seen
        container.on_train_end()
        growth = peak_bytes() - memory_before
        with h5py.File(str(path)) as archive:
            series = archive["cost/train"][:]
        if len(series) != EPOCHS * minibatches or np.isnan(series).any():
            raise RuntimeError(f"the archive holds {len(series)} rows, {np.isnan(series).sum()} missing")
        size = path.stat().st_size
    return {
        "samples_s": samples_s, "growth_bytes": growth, "series_bytes": series.nbytes,
        "archive_bytes": size, "published": published,
    }  # fmt: skip


def trainsignal_epoch(container: Callbacks, epoch: int, minibatches: int) -> None:
    """Publish an epoch's minibatches."""
    for minibatch in range(minibatches):
        container.on_minibatch_begin(epoch, minibatch)
        container.on_minibatch_end(epoch, minibatch)


def numpy_epoch(costs: np.ndarray[Any, np.dtype[np.float32]], model: FakeModel) -> None:
    """Do what TrainCost does, in the loop itself."""
    window: deque[float] = deque(maxlen=10)
    for minibatch in range(len(costs)):
        window.append(model.cost.cost)
        costs[minibatch] = sum(window) / len(window)


def timed(function: Any) -> float:
    """Return the seconds that a call takes."""
    began = perf_counter()
    function()
    return perf_counter() - began


def peak_bytes() -> int:
    """Return the most memory that this process has held so far.

    From Linux's own account: `getrusage` counts that of the process that started this one, too.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell the peak of memory (VmHWM): run this benchmark on Linux")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(int(sys.argv[2]))))
    else:
        main(measure)
