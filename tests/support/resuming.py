"""Hand-written loops that are killed and resumed in one process: a kill keeps the files of its moment."""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from trainsignal import Callback, Callbacks

SIGNALS = (
    "train_begin", "epoch_begin", "minibatch_begin", "minibatch_end", "epoch_end", "checkpoint_saved",
    "train_end", "run_closed",
)  # fmt: skip


class Killed(BaseException):
    """The process has been killed; its files are as they were at that moment."""


def kill_at(callbacks: Callbacks, number: int, folder: Path) -> Callable[[], None]:
    """Raise `Killed` at the event of this number, counted from 0.

    Returns:
        Puts the files in `folder` back to what they were then: what happened afterwards, when the exception
        closed the run, would not have happened.
    """
    count, copy = 0, folder.with_name(f"{folder.name} when killed")

    def tick() -> None:
        nonlocal count
        count += 1
        if count == number + 1:
            shutil.copytree(folder, copy, symlinks=True, ignore=shutil.ignore_patterns("*.lock"))
            raise Killed

    def put_back() -> None:
        if copy.exists():
            shutil.rmtree(folder)
            copy.rename(folder)

    for name in SIGNALS:
        callbacks.bus.subscribe(name, tick, first=True)
        callbacks.bus.subscribe(name, tick)
    return put_back


class Total:
    """A model whose only parameter depends on the order of all batches and on random numbers."""

    def __init__(self) -> None:
        self.total = 0.0

    def step(self, batch: float) -> float:
        """Train on a batch; return its cost."""
        self.total = self.total / 2 + batch + random.random() + np.random.random()
        return self.total

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        return {"total": self.total}

    def deserialize(self, state: Any, *, load_states: bool = True) -> None:
        self.total = state["total"]


class Memory(Callback):
    """Keeps what it saw in attributes and in a dataset without an axis, as neon's users do."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = np.random.default_rng(5)

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self.drawn: list[float] = []
        callback_data.create_dataset("mine", (2,))

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.drawn.append(self.generator.random())
        callback_data["mine"][0] += minibatch + 1

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        callback_data["mine"][1] += sum(self.drawn)


class ByPython:
    """Batches in an order that Python's random numbers decide on, each changed by a random number."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[float]:
        order = list(range(self._length))
        random.shuffle(order)
        for batch in order:
            yield batch + random.random()


class ByNumPy(ByPython):
    """The same with NumPy's."""

    def __iter__(self) -> Iterator[float]:
        for batch in np.random.permutation(self._length):
            yield batch + np.random.random()


class WithPosition:
    """Batches in an order that a generator of its own decides on, which it can be put back to."""

    def __init__(self, length: int) -> None:
        self._generator = random.Random(11)
        self._length = length
        self._left: list[int] | None = None  # of the iteration in progress

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[float]:
        if self._left is None:
            self._left = list(range(self._length))
            self._generator.shuffle(self._left)
        left = self._left
        try:
            while left:
                yield float(left.pop())
        finally:
            self._left = None

    def state_dict(self) -> dict[str, Any]:
        version, words, gauss = self._generator.getstate()
        left = None if self._left is None else list(self._left)
        return {"left": left, "words": np.array(words), "version": version, "gauss": gauss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._left = None if state["left"] is None else list(state["left"])
        self._generator.setstate((state["version"], tuple(state["words"].tolist()), state["gauss"]))


Loaders = Callable[[], "Epoch"]
Epoch = Callable[[int], Iterable[Iterable[float]]]
"""Returns the loaders of the epoch of this index, one after the other."""


def fixed() -> Epoch:
    batches = [float(batch) for batch in range(4)]
    return lambda epoch: [batches]


def generators() -> Epoch:
    """Return generators, whose length nobody knows, and which differs from epoch to epoch."""
    return lambda epoch: [(float(batch) for batch in range(3 + epoch))]


def by_python() -> Epoch:
    loader = ByPython(4)
    return lambda epoch: [loader]


def by_numpy() -> Epoch:
    loader = ByNumPy(4)
    return lambda epoch: [loader]


def with_position() -> Epoch:
    loader = WithPosition(4)
    return lambda epoch: [loader]


def two_an_epoch() -> Epoch:
    first, second = ByPython(2), WithPosition(3)
    return lambda epoch: [first, second]


def two_shuffled() -> Epoch:
    first, second = ByPython(3), ByNumPy(2)
    return lambda epoch: [first, second]


LOADERS: tuple[Loaders, ...] = (
    fixed, generators, by_python, by_numpy, with_position, two_an_epoch, two_shuffled,
)  # fmt: skip


def run_loop(
    folder: Path,
    loaders: Loaders = fixed,
    *,
    epochs: int | None = 3,
    resume: bool | str | Path = False,
    kill: int | None = None,
    last_epoch: int = 2,
    leave_after: int = 100,
    prepare: Callable[[Callbacks], object] = lambda callbacks: None,
    **options: Any,
) -> Callbacks:
    """Train a `Total` by a hand-written loop.

    Args:
        folder: for the archive and the checkpoints.
        loaders: makes what the batches come from.
        epochs: how many; None: a handler stops after `last_epoch`.
        resume: go on from what is there.
        kill: the event at which the process is killed.
        last_epoch: where `epochs` is None, 0-based.
        leave_after: leave the loader by `break` after so many of the epoch's batches.
        prepare: is given the container before training.
        options: of `Callbacks`.
    """
    random.seed(1)
    np.random.seed(1)
    folder.mkdir(exist_ok=True)
    model, source = Total(), loaders()
    given = {"output_file": folder / "run.h5", "save_path": folder / "model.h5", **options}
    callbacks = Callbacks(model, progress_bar=False, resume=resume, **given)
    callbacks.add_callback(Memory())
    prepare(callbacks)
    put_back = None if kill is None else kill_at(callbacks, kill, folder)

    def stop(epoch: int) -> None:
        if epochs is None and epoch >= last_epoch:
            callbacks.run.request_stop("enough", at="epoch")

    callbacks.bus.subscribe("epoch_end", stop)
    with contextlib.suppress(Killed), callbacks.training(epochs) as run:
        for epoch in run.epochs():
            for loader in source(epoch):
                _train_on(loader, callbacks, model, leave_after)
    if put_back is not None:
        put_back()
    return callbacks


def _train_on(loader: Iterable[float], callbacks: Callbacks, model: Total, leave_after: int) -> None:
    for batch in callbacks.run.minibatches(loader):
        callbacks.run.cost = model.step(batch)
        if callbacks.run.open_minibatch == leave_after - 1:
            break


def outcome(callbacks: Callbacks) -> dict[str, Any]:
    """Return all that has to be the same however often the run was killed.

    Times differ, and so do the paths of checkpoints; the row of one is lost where a kill follows at once.
    """
    found: dict[str, Any] = {"total": callbacks.model().total}

    def collect(path: str, member: Any) -> None:
        if hasattr(member, "shape") and not path.startswith(("time/", "checkpoints")):
            found[path] = np.array(member)

    callbacks.callback_data.visititems(collect)
    return found


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Assert that two outcomes agree to the last bit."""
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@cache
def uninterrupted(loaders: Loaders = fixed, epochs: int | None = 3, leave_after: int = 100) -> dict[str, Any]:
    """Return the outcome of a `run_loop` that nobody kills or stops."""
    with tempfile.TemporaryDirectory() as folder:
        return outcome(run_loop(Path(folder), loaders, epochs=epochs, leave_after=leave_after))
