"""`LearningRateScheduleCallback`: the optimizer's learning rate as a function of time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from trainsignal import keys
from trainsignal.abilities import HasLearningRate, to_float
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError, MissingAbilityError
from trainsignal.minibatch_series import create_minibatch_series
from trainsignal.run_link import run_of
from trainsignal.shared_data import SharedData

Schedule: TypeAlias = Callable[[int], float]
"""Takes a 0-based index and returns the learning rate, 0 or more."""


class LearningRateScheduleCallback(Callback):
    """Sets `model.optimizer.learning_rate` before each epoch or minibatch, and writes what it set.

    The function is asked for the 0-based epoch or, with `per="minibatch"`, for the 0-based minibatch counted
    over all epochs. The series has one row for each. After the run the optimizer keeps the last rate.
    """

    writes = (keys.LEARNING_RATE,)
    needs = (HasLearningRate,)

    def __init__(self, schedule: Schedule, *, per: Literal["epoch", "minibatch"] = "epoch") -> None:
        """Store the schedule.

        Args:
            schedule: `schedule(index)` is the rate to train with.
            per: what the index counts, and when the rate is set.

        Raises:
            ConfigurationError: the schedule cannot be called, or `per` is neither of the two.
        """
        if per not in ("epoch", "minibatch"):
            raise ConfigurationError(f"per={per!r}: expected 'epoch' or 'minibatch'")
        super().__init__(
            epoch_freq=1 if per == "epoch" else None, minibatch_freq=1 if per == "minibatch" else None
        )
        if not callable(schedule):
            raise ConfigurationError(f"schedule={schedule!r}: expected a function of the 0-based {per}")
        self.schedule = schedule
        self.per = per

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        if not hasattr(model.optimizer, "learning_rate"):
            raise MissingAbilityError(
                f"LearningRateScheduleCallback sets model.optimizer.learning_rate, which the optimizer "
                f"({type(model.optimizer).__name__}) has not: give the model one that has, or leave this out"
            )
        if self.per == "minibatch":
            create_minibatch_series(callback_data, keys.LEARNING_RATE, dtype="f8")
            return
        callback_data.create_series(keys.LEARNING_RATE, epochs, dtype="f8", attributes=keys.epoch_axis(1))

    def on_epoch_begin(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        self._set(callback_data, model, epoch)

    def on_minibatch_begin(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        self._set(callback_data, model, run_of(self).minibatches_complete + minibatch)

    def _set(self, callback_data: SharedData, model: Any, index: int) -> None:
        answer = self.schedule(index)
        try:
            rate = to_float(answer)
        except TypeError:
            rate = math.nan
        if not 0 <= rate < math.inf:
            raise ConfigurationError(
                f"the schedule returned {answer!r} for {self.per} {index}: expected a rate of 0 or more"
            )
        model.optimizer.learning_rate = rate
        callback_data[keys.LEARNING_RATE][index] = rate
