"""How a run begins, goes through its epochs and ends; `TrainingRun` is where it stands.

Publishes the rarer signals, in an order that is always a sentence of the grammar in `signals`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager

from trainsignal import hand_loop
from trainsignal.abilities import CanFinish, HasSize
from trainsignal.errors import ConfigurationError, RunStateError
from trainsignal.frequency import is_int
from trainsignal.record import RunRecord
from trainsignal.run import TrainingRun
from trainsignal.run_link import ExitReason

_logger = logging.getLogger(__name__)


class RunLife:
    """Begins a run once, and closes it once, whatever happens.

    Attributes:
        is_guarded: whether a `with` block around the loop will close the run.
    """

    def __init__(self, run: TrainingRun, driver: hand_loop.Driver, on_close: Callable[[], None]) -> None:
        """Prepare a run that has not begun.

        Args:
            run: the run.
            driver: takes the calls that end what a loop left open.
            on_close: called when the run is over.
        """
        self.is_guarded = False
        self._run = run
        self._record = RunRecord(run.data, run.report)
        self._driver = driver
        self._on_close = on_close

    def check_new(self, epochs: int | None) -> None:
        """Refuse to begin a run twice, or with a number of epochs that is none.

        Raises:
            RunStateError: it has begun before.
            ConfigurationError: `epochs` is no count.
        """
        run = self._run
        if run.has_begun:
            raise RunStateError(
                "this Callbacks object has served a run already: its archive is that run's record. "
                "Make a new Callbacks object for the next fit (callback objects may be used again)."
            )
        if epochs is not None and (not is_int(epochs) or epochs < 0):
            raise ConfigurationError(f"epochs={epochs!r}: expected a count of 0 or more, or None if unknown")

    def begin(self, epochs: int | None) -> None:
        """Publish `train_begin` and the archive's first state."""
        run = self._run
        run.has_begun = True
        run.total_epochs = epochs
        run.minibatches_per_epoch = self._announced_minibatches()
        self._record.begin(epochs, run.minibatches_per_epoch)
        run.claim_file(run.data.filename, "the archive")
        run.minibatch_begin.open(run.data, run.model)
        run.minibatch_end.open(run.data, run.model)
        run.bus.publish(run.bus.train_begin, run.model, epochs=epochs)
        self._record.publish_first()

    def begin_epoch(self, epoch: int) -> None:
        """Publish `epoch_begin`."""
        run = self._run
        self._check_open("on_epoch_begin")
        hand_loop.close_epoch(run, self._driver)
        done = run.epoch_minibatches
        run.minibatch_begin.new_epoch(done)
        run.minibatch_end.new_epoch(done)
        run.epoch, run.is_in_epoch = epoch, True
        run.minibatch_cost.new_epoch()
        run.minibatches_per_epoch = self._announced_minibatches() or run.minibatches_per_epoch
        run.bus.publish(run.bus.epoch_begin, run.model, epoch=epoch)

    def end_epoch(self, epoch: int) -> None:
        """Publish `epoch_end`, then note how far the run is, in the archive too."""
        run = self._run
        self._check_open("on_epoch_end")
        hand_loop.close_minibatch(run, self._driver)
        run.is_in_epoch = False
        had_finished = self._model_finished()
        minibatches = run.minibatches_complete + run.epoch_minibatches
        self._record.end_epoch(epoch, minibatches)  # before callbacks save: the archive is never behind
        run.bus.publish(run.bus.epoch_end, run.model, epoch=epoch)
        run.epochs_complete += 1
        run.minibatches_complete = minibatches
        if self._model_finished() and not run.votes:
            when = "before" if had_finished else "at"
            run.vote(f"model.finished was set {when} the end of the epoch", "model", "epoch")
        run.data.publish_if_due()

    def end(self) -> None:
        """Publish `train_end` and close the run as completed, or stopped if there was a vote."""
        run = self._run
        self._check_open("on_train_end")
        hand_loop.close_epoch(run, self._driver)
        if self._is_cut_short() and not run.votes:
            run.vote(
                f"the loop ended after {run.epochs_complete} of {run.total_epochs} epochs", "loop", "epoch"
            )
        run.bus.publish(run.bus.train_end, run.model)
        self.close("stopped" if run.votes else "completed")

    def close(self, reason: ExitReason, error: BaseException | None = None) -> None:
        """Publish `run_closed` to all, publish the archive a last time and let go of it; once.

        Raises:
            Exception: the first that a receiver of `run_closed` raised, where nothing else ended the run.
        """
        run = self._run
        if run.exit_reason is not None or not run.is_in_its_process:
            return
        run.exit_reason, run.error = reason, error
        try:
            self._record.end(reason, *self._why(error))
            failures = run.bus.publish_to_all(run.bus.run_closed, run.model, reason=reason, error=error)
        finally:  # a second Ctrl-C may come amid it
            run.minibatch_begin.close()
            run.minibatch_end.close()
            self._on_close()
            self._record.publish_last()
        for problem in run.problems:
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
        run = self._run
        if run.is_open and not self.is_guarded:
            self.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", error)

    def _is_cut_short(self) -> bool:
        """Return whether epochs are missing at the end; a fit that goes on from epoch 5 begins there."""
        run = self._run
        last = run.epoch if run.epochs_complete else -1
        return run.total_epochs is not None and last + 1 < run.total_epochs

    def _why(self, error: BaseException | None) -> tuple[str | None, str | None]:
        """Return why the run ended, in words, and who wanted it."""
        run = self._run
        if error is not None:
            return f"{type(error).__name__}: {error}", None
        return (run.votes[0].reason, run.votes[0].author) if run.votes else (None, None)

    def _check_open(self, call: str) -> None:
        run = self._run
        if not run.is_open:
            if not run.has_begun:
                moment = "before on_train_begin"
            else:
                moment = "after the run was closed" if run.exit_reason else "in a forked child of the run"
            raise RunStateError(f"{call} was called {moment}")

    def _announced_minibatches(self) -> int | None:
        """Return how long the model says an epoch is; None where it does not know, as outside its fit."""
        run = self._run
        return (run.model.nbatches or None) if isinstance(run.model, HasSize) else None

    def _model_finished(self) -> bool:
        run = self._run
        return isinstance(run.model, CanFinish) and bool(run.model.finished)
