"""`LossCallback`: the mean cost on an evaluation set."""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import perf_counter
from typing import Any

from trainsignal import keys
from trainsignal.abilities import CanInfer, HasCost
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError
from trainsignal.evaluation import check_evaluation_set, mean_cost
from trainsignal.frequency import Frequency, firings, row_of
from trainsignal.shared_data import SharedData


class LossCallback(Callback):
    """Writes the mean cost on an evaluation set, and the seconds that evaluating took.

    A second one with the same label writes to "cost/loss_2", and so on.
    """

    needs = (CanInfer, HasCost)

    def __init__(
        self,
        eval_set: Any,
        epoch_freq: int | Collection[int] = 1,
        *,
        label: str = "loss",
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Store what to evaluate on.

        Args:
            eval_set: see `trainsignal.abilities.EvaluationSet`.
            epoch_freq: evaluate every nth epoch, or at the 0-based epochs of a list.
            label: writes to "cost/<label>" and "time/<label>".
            clock: seconds.

        Raises:
            DataError: no data set, or an empty one.
            ConfigurationError: a label that is no name.
        """
        super().__init__(epoch_freq=epoch_freq)
        check_evaluation_set(eval_set, "eval_set")
        if not label or "/" in label or label == "train":
            raise ConfigurationError(
                f"label={label!r}: expected a name without '/', and not 'train', under which the costs of "
                "the minibatches are kept; 'train_set' would do"
            )
        self.eval_set = eval_set
        self.label = label
        self.writes = (keys.Numbered(keys.loss(label)), keys.Numbered(keys.loss_time(label)))
        self._clock = clock
        self._axis: Frequency = epoch_freq
        self._cost_key, self._time_key = keys.loss(label), keys.loss_time(label)

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        self._axis = self.epoch_freq  # of the series, whatever changes later
        rows = firings(self._axis, epochs)
        axis = keys.epoch_axis(self._axis)
        cost_key, time_key = self.writes
        cost = callback_data.create_series(cost_key, rows, attributes={**axis, keys.DIRECTION: "min"})
        self._cost_key, self._time_key = cost.name, callback_data.create_series(time_key, rows).name

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        began = self._clock()
        cost = mean_cost(model, self.eval_set)
        row = row_of(self._axis, epoch)
        callback_data[self._time_key][row] = self._clock() - began
        callback_data[self._cost_key][row] = cost
