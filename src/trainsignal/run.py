"""`TrainingRun`: the life of one run: where it stands, who wants it to stop, and how it ends.

Publishes on its bus; which callbacks listen is the container's matter, what the archive says `record`'s.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from trainsignal import hand_loop
from trainsignal.abilities import CanFinish, HasSize
from trainsignal.bus import Bus
from trainsignal.cost import MinibatchCost
from trainsignal.errors import ConfigurationError, RunStateError
from trainsignal.files import expand
from trainsignal.frequency import is_int
from trainsignal.hot_path import HotPath
from trainsignal.record import RunRecord
from trainsignal.run_link import Boundary, ExitReason
from trainsignal.shared_data import SharedData, Stamp

_logger = logging.getLogger(__name__)
_Batch = TypeVar("_Batch")


@dataclass(frozen=True, slots=True)
class StopVote:
    """Somebody's wish that the run stop.

    Attributes:
        reason: in words.
        author: who voted: a callback's class, "user", ...
        at: the boundary at which to stop.
        epoch: 0-based, when the vote was cast.
        minibatch: 0-based within the epoch.
    """

    reason: str
    author: str
    at: Boundary
    epoch: int
    minibatch: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was saved: where, and at which position of the run."""

    path: str
    epoch: int
    minibatch: int


class TrainingRun:
    """One run: begun once, closed once.

    Attributes:
        model: the sender of all signals.
        bus: on which they are published.
        data: the shared data.
        total_epochs: how many were asked for; None: unknown, or the run has not begun.
        epoch: the current epoch, 0-based.
        epochs_complete: epochs that have ended in this run.
        votes: the stop votes so far.
        checkpoints: those saved so far.
        problems: what was reported so far.
        minibatches_complete: minibatches of the epochs that have ended.
        has_begun: whether `train_begin` was published, or is being.
        is_in_epoch: whether an epoch has begun and not ended.
        is_guarded: whether a `with` block will close the run.
        exit_reason: why the run ended; None while it has not.
        error: the exception that ended it, or None.
        minibatches_per_epoch: minibatches of the current epoch; None where unknown.
    """

    def __init__(
        self,
        model: object,
        bus: Bus,
        data: SharedData,
        driver: hand_loop.Driver,
        on_close: Callable[[], None],
    ) -> None:
        """Prepare a run that has not begun.

        Args:
            model: the sender of all signals.
            bus: on which they are published.
            data: the shared data.
            driver: takes the six calls that `epochs()` and `minibatches()` make.
            on_close: called when the run is over.
        """
        self.model: Any = model
        self.bus = bus
        self.data = data
        self.total_epochs: int | None = None
        self.epoch = 0
        self.epochs_complete = 0
        self.minibatches_complete = 0
        self.minibatches_per_epoch: int | None = None
        self.votes: list[StopVote] = []
        self.checkpoints: list[Checkpoint] = []
        self.problems: list[str] = []
        self.exit_reason: ExitReason | None = None
        self.error: BaseException | None = None
        self.has_begun = False
        self.is_in_epoch = False
        self.is_guarded = False
        self.minibatch_begin = HotPath(bus, bus.minibatch_begin)
        self._record = RunRecord(data, self.report)
        self.minibatch_end = HotPath(bus, bus.minibatch_end, on_look=self.data.publish_if_due)
        self._cost = MinibatchCost(model)
        self._files: dict[Path, str] = {}
        self._driver = driver
        self._on_close = on_close
        self._process = os.getpid()
        bus.common.update(callback_data=data, run=self)
        bus.on_change = self.wiring_changed

    # What callbacks and loops ask for (`callback.RunLink`).

    @property
    def cost(self) -> float | None:
        """Cost of the current minibatch: what the loop set, or else `model.cost.cost`.

        None where the loop sets costs, but none for this minibatch, as when it skips a bad batch.

        Raises:
            CostError: nobody ever set one, or it is not one number.
        """
        return self._cost.get()

    @cost.setter
    def cost(self, value: object) -> None:
        self._cost.set(value)

    def forget_cost(self) -> None:
        """Begin a minibatch of a hand-written loop, of which it has set no cost yet."""
        self._cost.forget()

    @property
    def epoch_cost(self) -> float | None:
        """Mean of the costs that the loop set in this epoch; None where it set none."""
        return self._cost.epoch_mean

    @property
    def epoch_minibatches(self) -> int:
        """Minibatches done in the current epoch."""
        return self.minibatch_end.latest + 1

    @property
    def open_minibatch(self) -> int | None:
        """The minibatch that has begun and not ended, or None."""
        begun = self.minibatch_begin.latest
        return begun if begun > self.minibatch_end.latest else None

    @property
    def is_open(self) -> bool:
        """Whether the run has begun and has not been closed; False in a forked child, which runs nothing."""
        return self.has_begun and self.exit_reason is None and os.getpid() == self._process

    def position(self) -> Stamp:
        """Return the current (epoch, minibatch), 0-based; at an epoch's end, its last minibatch."""
        done = self.epoch_minibatches
        return Stamp(self.epoch, done if self.is_in_epoch else max(0, done - 1))

    def request_stop(self, reason: str, author: str = "user", at: Boundary = "minibatch") -> None:
        """Vote to stop the run at the next boundary; it then ends with the reason "stopped".

        Loops that ask only `model.finished`, as neon's fit, stop at the end of the epoch.

        Raises:
            RunStateError: the run has not begun, or has ended.
            ConfigurationError: `at` is no boundary.
        """
        if not self.is_open:
            raise RunStateError("request_stop: no run is in progress")
        if at not in get_args(Boundary):
            raise ConfigurationError(f"at={at!r}: expected one of {', '.join(get_args(Boundary))}")
        if isinstance(self.model, CanFinish):
            self.model.finished = True
        self._vote(reason, author, at)

    def should_stop(self, at: Boundary = "minibatch") -> bool:
        """Return whether somebody voted to stop at this boundary; an epoch's end serves every vote."""
        return bool(self.votes) and (at == "epoch" or any(vote.at == "minibatch" for vote in self.votes))

    def claim_file(self, path: str | Path, owner: str) -> None:
        """Make sure that nobody else in this run writes `path`.

        Raises:
            ConfigurationError: somebody does.
        """
        resolved = expand(path).resolve()
        other = self._files.setdefault(resolved, owner)
        if other != owner:
            raise ConfigurationError(
                f"{other} and {owner} would both write {str(resolved)!r}, each over the other: "
                "give one of them another path"
            )

    def report(self, problem: str) -> None:
        """Log a problem as an error the first time it occurs, and once more when the run ends."""
        if problem not in self.problems:
            self.problems.append(problem)
            _logger.error("%s", problem)

    def checkpoint_saved(self, path: str) -> None:
        """Note and publish that a checkpoint is on the disk, whole."""
        checkpoint = Checkpoint(path, *self.position())
        self.checkpoints.append(checkpoint)
        self.bus.publish(
            self.bus.checkpoint_saved,
            self.model,
            path=path,
            epoch=checkpoint.epoch,
            minibatch=checkpoint.minibatch,
        )

    def wiring_changed(self) -> None:
        """Have the minibatch signals look anew at who fires when."""
        self.minibatch_begin.invalidate()
        self.minibatch_end.invalidate()

    # For hand-written loops.

    def epochs(self) -> Generator[int]:
        """Yield each epoch's 0-based index, until all are done or somebody voted to stop."""
        return hand_loop.epochs(self, self._driver)

    def minibatches(self, batches: Iterable[_Batch]) -> Generator[_Batch]:
        """Yield each batch of any iterable, until there are no more or somebody voted to stop."""
        return hand_loop.minibatches(self, self._driver, batches)

    # The life of the run, for the container.

    def check_new(self, epochs: int | None) -> None:
        """Refuse to begin a run twice, or with a number of epochs that is none.

        Raises:
            RunStateError: it has begun before.
            ConfigurationError: `epochs` is no count.
        """
        if self.has_begun:
            raise RunStateError(
                "this Callbacks object has served a run already: its archive is that run's record. "
                "Make a new Callbacks object for the next fit (callback objects may be used again)."
            )
        if epochs is not None and (not is_int(epochs) or epochs < 0):
            raise ConfigurationError(f"epochs={epochs!r}: expected a count of 0 or more, or None if unknown")

    def begin(self, epochs: int | None) -> None:
        """Publish `train_begin` and the archive's first state."""
        self.has_begun = True
        self.total_epochs = epochs
        self.minibatches_per_epoch = self._announced_minibatches()
        self._record.begin(epochs, self.minibatches_per_epoch)
        self.claim_file(self.data.filename, "the archive")
        self.minibatch_begin.open(self.data, self.model)
        self.minibatch_end.open(self.data, self.model)
        self.bus.publish(self.bus.train_begin, self.model, epochs=epochs)
        self._record.publish_first()

    def begin_epoch(self, epoch: int) -> None:
        """Publish `epoch_begin`."""
        self._check_open("on_epoch_begin")
        hand_loop.close_epoch(self, self._driver)
        done = self.epoch_minibatches
        self.minibatch_begin.new_epoch(done)
        self.minibatch_end.new_epoch(done)
        self.epoch, self.is_in_epoch = epoch, True
        self._cost.new_epoch()
        self.minibatches_per_epoch = self._announced_minibatches() or self.minibatches_per_epoch
        self.bus.publish(self.bus.epoch_begin, self.model, epoch=epoch)

    def end_epoch(self, epoch: int) -> None:
        """Publish `epoch_end`, then note how far the run is, in the archive too."""
        self._check_open("on_epoch_end")
        hand_loop.close_minibatch(self, self._driver)
        self.is_in_epoch = False
        had_finished = self._model_finished()
        minibatches = self.minibatches_complete + self.epoch_minibatches
        self._record.end_epoch(epoch, minibatches)  # before callbacks save: the archive is never behind
        self.bus.publish(self.bus.epoch_end, self.model, epoch=epoch)
        self.epochs_complete += 1
        self.minibatches_complete = minibatches
        if self._model_finished() and not self.votes:
            when = "before" if had_finished else "at"
            self._vote(f"model.finished was set {when} the end of the epoch", "model", "epoch")
        self.data.publish_if_due()

    def end(self) -> None:
        """Publish `train_end` and close the run as completed, or stopped if there was a vote."""
        self._check_open("on_train_end")
        hand_loop.close_epoch(self, self._driver)
        if self._is_cut_short() and not self.votes:
            self._vote(
                f"the loop ended after {self.epochs_complete} of {self.total_epochs} epochs", "loop", "epoch"
            )
        self.bus.publish(self.bus.train_end, self.model)
        self.close("stopped" if self.votes else "completed")

    def close(self, reason: ExitReason, error: BaseException | None = None) -> None:
        """Publish `run_closed` to all, publish the archive a last time and let go of it; once.

        Raises:
            Exception: the first that a receiver of `run_closed` raised, where nothing else ended the run.
        """
        if self.exit_reason is not None or os.getpid() != self._process:  # a forked worker closes nothing
            return
        self.exit_reason, self.error = reason, error
        try:
            self._record.end(reason, *self._why(error))
            failures = self.bus.publish_to_all(self.bus.run_closed, self.model, reason=reason, error=error)
        finally:  # a second Ctrl-C may come amid it
            self.minibatch_begin.close()
            self.minibatch_end.close()
            self._on_close()
            self._record.publish_last()
        for problem in self.problems:
            _logger.error("reported during this run: %s", problem)
        for failure in failures[0 if error is not None else 1 :]:
            _logger.error("a receiver of run_closed failed", exc_info=failure)
        if failures and error is None:
            raise failures[0]

    @contextmanager
    def closing_on_error(self) -> Generator[None]:
        """Close the run when the body raises, unless a `with` block around the loop will do so."""
        try:
            yield
        except BaseException as error:
            self.failed(error)
            raise

    def failed(self, error: BaseException) -> None:
        """Close the run because of `error`, unless a `with` block around the loop will do so."""
        if self.is_open and not self.is_guarded:
            self.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", error)

    def _vote(self, reason: str, author: str, at: Boundary) -> None:
        self.votes.append(StopVote(reason, author, at, *self.position()))
        self.bus.publish(self.bus.stop_requested, self.model, reason=reason, author=author)

    def _is_cut_short(self) -> bool:
        """Return whether epochs are missing at the end; a fit that goes on from epoch 5 begins there."""
        last = self.epoch if self.epochs_complete else -1
        return self.total_epochs is not None and last + 1 < self.total_epochs

    def _why(self, error: BaseException | None) -> tuple[str | None, str | None]:
        """Return why the run ended, in words, and who wanted it."""
        if error is not None:
            return f"{type(error).__name__}: {error}", None
        return (self.votes[0].reason, self.votes[0].author) if self.votes else (None, None)

    def _check_open(self, call: str) -> None:
        if not self.is_open:
            if not self.has_begun:
                moment = "before on_train_begin"
            else:
                moment = "after the run was closed" if self.exit_reason else "in a forked child of the run"
            raise RunStateError(f"{call} was called {moment}")

    def _announced_minibatches(self) -> int | None:
        """Return how long the model says an epoch is; None where it does not know, as outside its fit."""
        return (self.model.nbatches or None) if isinstance(self.model, HasSize) else None

    def _model_finished(self) -> bool:
        return isinstance(self.model, CanFinish) and bool(self.model.finished)
