"""Iterators for hand-written loops: they publish the six signals at the right places.

A generator cannot tell `break` from `return` or an exception in the loop body, so an abandoned one publishes
nothing: the next step of the outer one, or the clean end of the `with` block, closes what is still open.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Protocol, TypeVar

from trainsignal.cost import MinibatchCost
from trainsignal.errors import RunStateError
from trainsignal.feed import Feed, length_of
from trainsignal.hot_path import HotPath
from trainsignal.notes import StopVote
from trainsignal.run_link import Boundary

_Batch = TypeVar("_Batch")


class Position(Protocol):
    """What the iterators look at and move: a `TrainingRun`."""

    total_epochs: int | None
    epoch: int
    epochs_complete: int
    minibatches_complete: int
    minibatches_per_epoch: int | None
    feed: Feed
    minibatch_begin: HotPath
    minibatch_cost: MinibatchCost
    minibatch_end: HotPath
    votes: list[StopVote]
    has_begun: bool
    is_in_epoch: bool

    @property
    def open_minibatch(self) -> int | None:
        """The minibatch that has begun and not ended, or None."""
        ...

    @property
    def epoch_minibatches(self) -> int:
        """Minibatches done in the current epoch."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether the run has begun and has not been closed."""
        ...

    def expect_minibatches(self, minibatches: int) -> None:
        """Note how many minibatches the current epoch is to have."""
        ...

    def should_stop(self, at: Boundary = "minibatch") -> bool:
        """Return whether somebody voted to stop at this boundary."""
        ...


class Driver(Protocol):
    """Whatever takes neon's six calls: a `Callbacks`, with its overridden methods."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Begin an epoch."""
        ...

    def on_epoch_end(self, epoch: int) -> None:
        """End an epoch."""
        ...

    def on_minibatch_begin(self, epoch: int, minibatch: int) -> None:
        """Begin a minibatch."""
        ...

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        """End a minibatch."""
        ...

    def on_train_end(self) -> None:
        """End the run."""
        ...


def epochs(run: Position, driver: Driver) -> Generator[int]:
    """Yield each epoch's 0-based index until all are done or somebody voted to stop.

    A second iterator goes on where an abandoned one was.
    """
    if not run.has_begun:
        raise RunStateError("run.epochs() belongs inside `with callbacks.training(epochs) as run:`")
    close_epoch(run, driver)
    while (
        (run.total_epochs is None or run.epochs_complete < run.total_epochs)
        and run.is_open
        and not run.should_stop("epoch")
    ):
        driver.on_epoch_begin(run.epochs_complete)
        yield run.epoch
        close_epoch(run, driver)


def minibatches(run: Position, driver: Driver, batches: Iterable[_Batch]) -> Generator[_Batch]:
    """Yield each batch until there are no more or somebody voted to stop at a minibatch.

    A second loader in the same epoch counts on. No batch is taken from `batches` that is not trained on, if
    what ends the loop is inside: `run.minibatches(zip(loader, masks))`, and `enumerate` and `islice` alike.

    Raises:
        RunStateError: no epoch is open.
    """
    _check_in_epoch(run)
    close_minibatch(run, driver)
    done = run.feed.place(batches)
    length = length_of(batches)
    expected = None if length is None else run.epoch_minibatches - done + length
    if expected is not None:
        run.expect_minibatches(expected)
    if run.should_stop():
        run.feed.is_refused = True
        return
    begun, ended, forget_cost = run.minibatch_begin, run.minibatch_end, run.minibatch_cost.forget
    for batch in run.feed.serve(batches):
        _check_in_epoch(run)
        if begun.latest > ended.latest:  # of another loader, stepped in turns with this one
            driver.on_minibatch_end(run.epoch, begun.latest)
        forget_cost()
        driver.on_minibatch_begin(run.epoch, ended.latest + 1)
        yield batch
        if begun.latest > ended.latest:
            driver.on_minibatch_end(run.epoch, begun.latest)
        if run.votes and run.should_stop() and run.epoch_minibatches != expected:
            return  # else the iterable has only its end to come to, and is ready for the next epoch then
    run.minibatches_per_epoch = run.epoch_minibatches


def close_minibatch(run: Position, driver: Driver) -> None:
    """End the minibatch that was left open: an iterator was abandoned, or a loop left."""
    if run.open_minibatch is not None:
        driver.on_minibatch_end(run.epoch, run.open_minibatch)


def close_epoch(run: Position, driver: Driver) -> None:
    """End what is open in the current epoch, and the epoch."""
    if run.is_open and run.is_in_epoch:
        close_minibatch(run, driver)
        was_expected = run.feed.is_used or run.minibatches_complete  # or an exhausted iterator is used again
        if was_expected and not run.epoch_minibatches and not run.should_stop():
            run.feed.warn_of_empty_epoch(run.epoch)
        elif run.minibatch_cost.is_told and not run.minibatches_complete + run.epoch_minibatches:
            run.feed.warn_of_unheard_minibatches(run.epoch)
        driver.on_epoch_end(run.epoch)


def finish(run: Position, driver: Driver) -> None:
    """End what is open, and the run, as completed or stopped."""
    close_epoch(run, driver)
    if run.is_open:
        driver.on_train_end()


def _check_in_epoch(run: Position) -> None:
    if not run.is_in_epoch:
        raise RunStateError("run.minibatches(loader) belongs inside `for epoch in run.epochs():`")
