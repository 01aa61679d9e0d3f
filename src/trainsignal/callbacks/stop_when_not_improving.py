"""`StopWhenNotImprovingCallback`: stop when a series gets no better any more."""

from __future__ import annotations

import copy
import logging
import math
from typing import Any

from trainsignal import keys
from trainsignal.abilities import CanLoad, CanSerialize
from trainsignal.errors import ConfigurationError
from trainsignal.frequency import is_int
from trainsignal.improvement import Direction, Improvement, Progress
from trainsignal.readings import epoch_row, is_per_minibatch, is_unreported, value_in
from trainsignal.shared_data import BufferedDataset, SharedData
from trainsignal.stopping import StoppingCallback

_logger = logging.getLogger(__name__)


class StopWhenNotImprovingCallback(StoppingCallback):
    """Stops at the end of the epoch when `patience` evaluations in a row were no improvement.

    Counts evaluations, not epochs: with a loss at every 5th epoch, a patience of 3 is 15 epochs. A value
    that is NaN is never better; of what a framework reports, NaN is no evaluation.

    With `restore_best` a copy of the model's best state is held in memory, and put back at train end, also
    after a complete run, in this callback's place among the others: add it before those that use the model
    at train end. At epoch ends it leaves the model as it is, so evaluations after it hold for those before.
    A run that fails or is interrupted keeps its last state.

    Attributes:
        key: the series.
        best: the best value so far; None before the first.
        best_epoch: its 0-based epoch.
        misses: evaluations since then.
    """

    best: float | None
    best_epoch: int | None
    misses: int
    _best_state: Any

    def __init__(
        self,
        key: str = keys.LOSS,
        *,
        patience: int,
        min_delta: float = 0.0,
        direction: Direction | None = None,
        restore_best: bool = False,
    ) -> None:
        """Store what to watch.

        Args:
            key: a series with rows for epochs.
            patience: evaluations without improvement, at least 1.
            min_delta: a value must be better by more than this, in the series' own unit.
            direction: "min" where lower is better, "max" where higher is; None: as the series itself tells.
            restore_best: put the best state back at train end.

        Raises:
            ConfigurationError: a patience, difference or direction that is none.
        """
        super().__init__()
        if not is_int(patience) or patience < 1:
            raise ConfigurationError(f"patience={patience!r}: expected a number of evaluations, at least 1")
        Improvement("min" if direction is None else direction, min_delta)  # checks both
        self.key = key
        self.patience = int(patience)
        self.min_delta = min_delta
        self.direction: Direction | None = direction
        self.restore_best = restore_best
        self.reads = (key,)
        if restore_best:
            self.needs = (CanSerialize, CanLoad)
        self._forget()

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        super().on_train_begin(callback_data, model, epochs)
        self._forget()
        series = callback_data.get(self.key)
        if series is not None and keys.REPORTED_AS not in series.attrs:  # else it tells later
            self._improvement(series)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        if self.key not in callback_data:  # nothing has been evaluated yet
            return
        series = callback_data[self.key]
        row = epoch_row(series, epoch)
        if row is None or is_unreported(series, row):
            return
        improvement = self._improvement(series)
        value = value_in(series, row)
        progress = Progress(self.best, self.misses).after(math.nan if value is None else value, improvement)
        self.best, self.misses = progress.best, progress.misses
        if not self.misses:
            self.best_epoch = epoch
            if self.restore_best:
                self._best_state = copy.deepcopy(model.serialize(keep_states=True))
        elif self.misses >= self.patience:
            found = "was never a number" if self.best is None else f"is not better than {self.best:g}"
            since = "" if self.best_epoch is None else f", since epoch {self.best_epoch}"
            self.stop(f"{self.key} {found} in the last {self.misses} evaluations{since}")

    def still_stops(self) -> bool:
        return self.misses >= self.patience

    def on_train_end(self, callback_data: SharedData, model: Any) -> None:
        if self._best_state is not None:
            model.deserialize(self._best_state, load_states=True)
            _logger.info(
                "the model has its state of epoch %d again: %s %g", self.best_epoch, self.key, self.best
            )

    def _forget(self) -> None:
        self.best = self.best_epoch = None
        self.misses = 0
        self._best_state = None

    def _improvement(self, series: BufferedDataset) -> Improvement:
        """Return what counts as better in the series.

        Raises:
            ConfigurationError: it has no rows for epochs, or nobody has said its direction.
        """
        if is_per_minibatch(series):
            raise ConfigurationError(
                f"key={self.key!r}: that series has a row for each minibatch; name one that is evaluated at "
                f"epoch ends, such as {keys.LOSS!r}"
            )
        direction: Direction | None = self.direction or series.attrs.get(keys.DIRECTION)
        if direction is None:
            raise ConfigurationError(
                f"the series {self.key!r} does not tell which values are better: pass direction='min' (lower "
                "is better) or 'max' (higher is better)"
            )
        return Improvement(direction, self.min_delta)
