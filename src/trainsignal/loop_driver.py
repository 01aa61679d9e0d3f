"""`LoopDriver`: what the adapters of frameworks share; turns what a framework tells into neon's six calls.

Numbers epochs and minibatches itself, so that an adapter only says what happens. Knows no framework.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from trainsignal import keys
from trainsignal.abilities import CanFinish
from trainsignal.container import Callbacks
from trainsignal.errors import ConfigurationError
from trainsignal.frameworks import check_wrapper
from trainsignal.preflight import check_is_callback
from trainsignal.reported import ReportedCallback
from trainsignal.run import TrainingRun
from trainsignal.run_link import Boundary

_logger = logging.getLogger(__name__)

_NOTHING_TOLD: Final[Mapping[str, bool]] = MappingProxyType({})


class LoopDriver:
    """Drives a `Callbacks` object from the events of a framework's training loop.

    A call that ends what is not open does nothing, as frameworks may tell twice or not at all.

    Attributes:
        callbacks: what is driven.
        run: its run.
    """

    def __init__(self, callbacks: Callbacks, framework: str | None = None) -> None:
        """Store what is driven.

        Args:
            callbacks: what is driven.
            framework: name of the file in `models/` whose wrapper fits; None: any does.

        Raises:
            TypeError: it is no `Callbacks` object.
        """
        if not isinstance(callbacks, Callbacks):  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
            raise TypeError(f"{callbacks!r} is no Callbacks object: pass trainsignal.Callbacks(model, ...)")
        self.callbacks = callbacks
        self.run: TrainingRun = callbacks.run
        self._framework = framework
        self._cost = callbacks.run.minibatch_cost
        self._begun = callbacks.run.minibatch_begin
        self._ended = callbacks.run.minibatch_end
        self._reported = ReportedCallback()
        self._first_minibatch = 0
        self._is_to_be_placed = False

    @property
    def model(self) -> Any:
        """The object that was given to `Callbacks`."""
        return self.callbacks.run.model

    def given_model(self, kind: type, attribute: str) -> Any:
        """Return what was given to `Callbacks`, of the framework's `kind`, or a wrapper has in `attribute`.

        None where neither is of that kind.
        """
        inner = self.model if isinstance(self.model, kind) else getattr(self.model, attribute, None)
        return inner if isinstance(inner, kind) else None

    def check_is_trained(self, trained: Any, kind: type, attribute: str, advice: str) -> None:
        """Refuse callbacks that would look at another model than the one that is trained.

        Args:
            trained: the framework's own model that it trains.
            kind: as in `given_model`.
            attribute: as in `given_model`.
            advice: how to make `Callbacks` with that model, for the message.

        Raises:
            ConfigurationError: another one was given.
        """
        given = self.given_model(kind, attribute)
        if given is not None and given is not trained:
            raise ConfigurationError(
                f"Callbacks was given another model, a {type(given).__name__}, than the "
                f"{type(trained).__name__} that is trained: {advice}"
            )

    def begin(self, epochs: int | None, minibatches: int | None = None, *, loss: str | None = None) -> None:
        """Begin the run.

        Args:
            epochs: how many there will be, those before a resumption included; None where unknown.
            minibatches: of an epoch; None where unknown.
            loss: name under which the framework reports the loss of its evaluation set, which becomes the
                series "cost/loss" unless a callback writes that; None: it reports none.

        Raises:
            TrainSignalError: what is wrong with the wiring, the files or the model.
        """
        if not self.run.has_begun:  # else the container refuses
            if self._framework is not None:
                check_wrapper(self.model, self._framework)
            self._add_reported(loss)
            if isinstance(self.model, CanFinish):
                self.model.finished = False
            self.run.minibatches_per_epoch = minibatches
        self.callbacks.on_train_begin(epochs)

    def go_on(self, epochs: int, minibatches: int = 0, within: int = 0) -> None:
        """Number on as a framework that goes on from a checkpoint of its own; after `begin`.

        Args:
            epochs: complete ones.
            minibatches: of these, in all.
            within: those of the next epoch that are done.
        """
        self.run.epochs_complete, self.run.minibatches_complete = epochs, minibatches
        self._first_minibatch = within

    def begin_epoch(self) -> None:
        """Begin the next epoch, unless all are done; ends the one that is open, if any."""
        run = self.run
        self.end_epoch()
        if not run.is_open or self._is_done():
            return
        self.callbacks.on_epoch_begin(run.epochs_complete)
        self._is_to_be_placed = run.epoch_minibatches > 0
        if self._first_minibatch:
            self._begun.latest = self._ended.latest = self._first_minibatch - 1
            self._first_minibatch = 0

    def begin_minibatch(self) -> None:
        """Begin the next minibatch, if an epoch is open; ends the one that is open, if any."""
        run = self.run
        if not run.is_in_epoch or run.exit_reason is not None:
            return
        if self._is_to_be_placed:
            self._place()
        if self._begun.latest > self._ended.latest:
            self.end_minibatch()
        self._cost.forget()
        self.callbacks.on_minibatch_begin(run.epoch, self._ended.latest + 1)

    def end_minibatch(self, cost: object = None) -> bool:
        """End the minibatch that is open, if any; return whether the framework is to stop here.

        Args:
            cost: its mean loss, a number or a device value, which is not waited for; None where the
                framework tells none.

        Raises:
            CostError: `cost` is not one number.
        """
        run, minibatch = self.run, self._begun.latest
        if minibatch > self._ended.latest and run.exit_reason is None:
            if cost is None:
                self._cost.tell_nothing()
            else:
                self._cost.set(cost)
            self.callbacks.on_minibatch_end(run.epoch, minibatch)
        return bool(run.votes) and run.should_stop()

    def report(
        self, values: Mapping[str, object], *, higher_is_better: Mapping[str, bool] = _NOTHING_TOLD
    ) -> None:
        """Note the framework's own metrics of the current epoch, or between two of the next, for its end.

        Args:
            values: numbers, also in arrays or tensors of one element; others are passed over.
            higher_is_better: for those names of which the framework tells.
        """
        self._reported.note(values, higher_is_better)

    def report_minibatch(self, values: Mapping[str, object]) -> None:
        """Write what the framework says of the current or latest minibatch, such as its learning rate."""
        run = self.run
        if run.is_open:
            is_amid = run.open_minibatch is not None
            row = run.minibatches_done - (0 if is_amid else 1)
            if row >= 0:
                self._reported.write_minibatch(run.data, values, row)

    def end_epoch(self) -> None:
        """End the epoch that is open, if any, and what is open in it."""
        run = self.run
        if run.is_open and run.is_in_epoch:
            self.end_minibatch()
            self.callbacks.on_epoch_end(run.epoch)

    def end(self) -> None:
        """End the run, and what is open in it, as completed or stopped; if it is open."""
        self.end_epoch()
        if self.run.is_open:
            self.callbacks.on_train_end()

    def failed(self, error: BaseException) -> None:
        """Close the run because of an exception that the framework tells of; if it is open."""
        self.callbacks.close(error)

    def should_stop(self, at: Boundary = "minibatch") -> bool:
        """Return whether the framework is to stop at this boundary: somebody voted, or all epochs are done.

        The latter matters after a resumption, of which the framework may not know.
        """
        return self.run.should_stop(at) or (at == "epoch" and self._is_done())

    def _is_done(self) -> bool:
        total = self.run.total_epochs
        return total is not None and self.run.epochs_complete >= total

    def _add_reported(self, loss: str | None) -> None:
        """Have a callback write what the framework reports, before all that may read it."""
        callbacks = self.callbacks
        for one in callbacks.callbacks:
            check_is_callback(one)
        others = [one for one in callbacks.callbacks if not isinstance(one, ReportedCallback)]
        written = {key for one in others for key in one.writes}
        read = {key: None for one in others for key in one.reads if key not in written}  # a set with an order
        self._reported = ReportedCallback(None if keys.LOSS in written else loss, read)
        callbacks.callbacks = [self._reported, *others]

    def _place(self) -> None:
        """Go on within an epoch, where the minibatches come through a feed that knows what is done of it."""
        self._is_to_be_placed = False
        if not self.run.feed.is_used:
            self.train_epoch_again(
                "nobody knows where the loop is in its data. Pass callbacks.serve(loader) to the loop "
                "instead of the loader."
            )

    def train_epoch_again(self, reason: str) -> None:
        """Have the epoch that a resumed run goes on in begin with its first minibatch, and say why."""
        run = self.run
        _logger.warning(
            "epoch %d is trained again from its begin, with the model as it was after %d minibatches: %s",
            run.epoch, run.epoch_minibatches, reason,
        )  # fmt: skip
        run.feed.begin_anew()
        self._cost.new_epoch()
        self._begun.latest = self._ended.latest = -1
