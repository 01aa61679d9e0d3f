"""How a run begins, goes through its epochs and ends; `TrainingRun` is where it stands.

Publishes the rarer signals, in an order that is always a sentence of the grammar in `signals`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager

from trainsignal import hand_loop
from trainsignal.abilities import CanFinish, FollowsRun, HasSize
from trainsignal.binding import HookReceiver
from trainsignal.callback import Callback
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.train_costs import TrainCosts
from trainsignal.ending import reason_of, why
from trainsignal.errors import ConfigurationError, RunStateError
from trainsignal.frequency import is_int
from trainsignal.plain_state import forget_constants, note_constants
from trainsignal.record import RunRecord
from trainsignal.resume import Resumption
from trainsignal.run import TrainingRun
from trainsignal.run_link import ExitReason
from trainsignal.snapshot import Snapshots

_logger = logging.getLogger(__name__)


class RunLife:
    """Begins a run once, and closes it once, whatever happens.

    Attributes:
        is_guarded: whether a `with` block around the loop will close the run.
    """

    def __init__(
        self,
        run: TrainingRun,
        driver: hand_loop.Driver,
        bound: Callable[[], Collection[HookReceiver]],
        on_close: Callable[[], None],
    ) -> None:
        """Prepare a run that has not begun.

        Args:
            run: the run.
            driver: takes the calls that end what a loop left open.
            bound: returns the receivers of the callbacks.
            on_close: called when the run is over.
        """
        self.is_guarded = False
        self._bound = bound
        self._resumption: Resumption | None = None
        self._snapshots = Snapshots(run, bound)
        run.snapshot = self._snapshots.take
        self._run = run
        self._record = RunRecord(run.data, run.report, bound)
        run.on_checkpoint = self._record.note_checkpoint
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

    def begin(self, epochs: int | None, resumption: Resumption | None = None) -> None:
        """Publish `train_begin` and the archive's first state.

        Args:
            epochs: how many there will be, those before a resumption included.
            resumption: what the run goes on from; None: it begins at the begin.
        """
        run, self._resumption = self._run, resumption
        run.has_begun = True
        run.total_epochs = epochs
        if resumption is not None:
            resumption.place(run)
        if isinstance(run.model, FollowsRun):
            run.model.follow(run)
        run.minibatches_per_epoch = self._announced_minibatches() or run.minibatches_per_epoch
        if run.ranks is not None:
            run.train_costs = TrainCosts(run.data, run.minibatch_cost, run.ranks.together)
        self._record.begin(run.run_id, epochs, run.minibatches_per_epoch)
        run.claim_file(run.data.filename, "the archive", run.data)
        run.minibatch_begin.open(run.data, run.model)
        run.minibatch_end.open(run.data, run.model)
        callbacks = self._callbacks().values()
        run.bus.publish(run.bus.train_begin, run.model, epochs=epochs)
        for callback in callbacks:
            note_constants(callback)
        if resumption is not None:
            self._go_on(resumption)
        if run.train_costs is not None:
            run.train_costs.agree(run.minibatches_per_epoch or 0)
        self._record.describe(run.model, callbacks)
        self._record.publish_first()

    def _go_on(self, resumption: Resumption) -> None:
        """Take over what an earlier process left; the rest waits for the epoch that was cut short."""
        run, moment = self._run, resumption.moment
        run.data.continue_previous(moment, resumption.saved["loose"])
        self._record.resume(moment.epochs, run.minibatches_complete, moment.minibatches)
        if not resumption.is_within_epoch:
            resumption.restore(run, self._callbacks())
        resumption.tell(run.total_epochs)

    def begin_epoch(self, epoch: int) -> None:
        """Publish `epoch_begin`."""
        run = self._run
        self._check_open("on_epoch_begin")
        resumption, self._resumption = self._resumption, None
        if resumption is not None:
            resumption.check_first_epoch(epoch)
        hand_loop.close_epoch(run, self._driver)
        done = run.epoch_minibatches
        run.minibatch_begin.new_epoch(done)
        run.minibatch_end.new_epoch(done)
        run.epoch, run.is_in_epoch = epoch, True
        run.minibatch_cost.new_epoch()
        run.feed.new_epoch()
        run.minibatches_per_epoch = self._announced_minibatches() or run.minibatches_per_epoch
        if resumption is not None and resumption.is_within_epoch:
            resumption.begin_epoch(run, self._callbacks())
        else:
            run.bus.publish(run.bus.epoch_begin, run.model, epoch=epoch)

    def end_epoch(self, epoch: int) -> None:
        """Publish `epoch_end`, then note how far the run is, in the archive too."""
        run = self._run
        self._check_open("on_epoch_end")
        hand_loop.close_minibatch(run, self._driver)
        self._snapshots.before_epoch_end()
        if run.ranks is not None:
            run.ranks.stops.after_last_minibatch()
        run.is_in_epoch, run.is_ending_epoch = False, True
        had_finished = self._model_finished()
        minibatches = run.minibatches_complete + run.epoch_minibatches
        self._exchange_values()
        self._record.end_epoch(epoch, minibatches)  # before callbacks save: the archive is never behind
        run.bus.publish(run.bus.epoch_end, run.model, epoch=epoch)
        run.evaluations.finish(run.model)
        run.epochs_complete += 1
        run.minibatches_complete, run.is_ending_epoch = minibatches, False
        if self._model_finished() and not run.votes:
            when = "before" if had_finished else "at"
            reason = f"model.finished was set {when} the end of the epoch"
            if run.ranks is None:
                run.vote(reason, "model", "epoch")
            else:
                run.ranks.stops.wish(reason, "model", "epoch")
        if run.ranks is not None:
            run.ranks.stops.agree()
        run.data.publish_if_due()

    def end(self) -> None:
        """Publish `train_end` and close the run as completed, or stopped if there was a vote."""
        run = self._run
        self._check_open("on_train_end")
        hand_loop.close_epoch(run, self._driver)
        run.minibatch_cost.settle()  # a run whose last computations failed is not completed
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
        try:  # a second Ctrl-C may come amid any of it
            try:
                if run.ranks is not None:
                    run.rank_failure = run.ranks.ending(error)
            finally:
                failures = self._tell_end(reason, error)
        finally:
            run.minibatch_begin.close()
            run.minibatch_end.close()
            for callback in self._callbacks().values():
                forget_constants(callback)
            self._on_close()
            try:
                self._record.publish_last()
            finally:
                if run.ranks is not None:
                    run.ranks.ended()
        for problem in run.problems:
            _logger.error("reported during this run: %s", problem)
        for failure in failures[0 if error is not None else 1 :]:
            _logger.error("a receiver of run_closed failed", exc_info=failure)
        if failures and error is None:
            raise failures[0]

    def _tell_end(self, reason: ExitReason, error: BaseException | None) -> list[Exception]:
        """Record why the run ended, and publish `run_closed`; return what receivers raised."""
        run = self._run
        lost = run.minibatch_cost.rescue()
        if lost is not None:
            run.report(f"the costs of the last minibatches did not come from their device: {lost}")
        self._record.end(reason, *why(run))
        return run.bus.publish_to_all(run.bus.run_closed, run.model, reason=reason, error=error)

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
            self.close(reason_of(error), error)

    def save_amid(self, failure: RankFailure) -> None:
        """Save the archive because of another rank's failure, while this rank is blocked; by any thread."""
        self._record.end("failed", str(failure), f"rank {failure.rank}")
        self._run.data.publish_known()

    def _exchange_values(self) -> None:
        """Evaluate, and take over what the values of this epoch's end are over all ranks of the run."""
        run = self._run
        if run.train_costs is not None:
            run.train_costs.exchange(
                run.minibatches_complete,
                run.epoch_minibatches,
                lambda numbers: run.evaluations.prepare(run.model, run.epoch, numbers),
            )

    def _callbacks(self) -> dict[str, Callback]:
        """Return the callbacks that take part, by name."""
        return {receiver.member.name: receiver.member.callback for receiver in self._bound()}

    def _is_cut_short(self) -> bool:
        """Return whether epochs are missing at the end; a fit that goes on from epoch 5 begins there."""
        run = self._run
        last = run.epoch if run.epochs_complete else -1
        return run.total_epochs is not None and last + 1 < run.total_epochs

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
