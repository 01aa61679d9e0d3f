"""`LossCallback`: the mean cost on an evaluation set."""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import perf_counter
from typing import Any

from trainsignal import keys
from trainsignal.abilities import CanInfer, HasCost
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError
from trainsignal.evaluation import (
    CostTally,
    EpochSeries,
    Request,
    check_evaluable,
    check_is_dataset,
    evaluated,
    is_shared_out,
    register,
)
from trainsignal.shared_data import SharedData


class LossCallback(Callback):
    """Writes the mean cost on an evaluation set, and the seconds of the pass that gave it.

    Metrics that are due on the same set share that pass. A second loss with the same label writes to
    "cost/loss_2", and so on. Of several ranks each evaluates its own part of the set, and the cost is that of
    the whole; the seconds are this rank's.
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
            eval_set: yields pairs (inputs, targets), each time anew; for a model with neon's layout see
                `trainsignal.abilities.EvaluationSet`.
            epoch_freq: evaluate every nth epoch, or at the 0-based epochs of a list.
            label: writes to "cost/<label>" and "time/<label>".
            clock: seconds.

        Raises:
            DataError: no data set.
            ConfigurationError: a label that is no name.
        """
        super().__init__(epoch_freq=epoch_freq)
        check_is_dataset(eval_set, "eval_set")
        if not label or "/" in label or label == "train":
            raise ConfigurationError(
                f"label={label!r}: expected a name without '/', and not 'train', under which the costs of "
                "the minibatches are kept; 'train_set' would do"
            )
        self.eval_set = eval_set
        self.label = label
        self._names = (keys.Numbered(keys.loss(label)), keys.Numbered(keys.loss_time(label)))
        self.writes = self._names
        self._clock = clock
        self._series = EpochSeries(self._names, epoch_freq)

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        register(self, self._request())  # first, for other ranks go on with it where the rest fails here
        check_evaluable(model, self.eval_set, "eval_set", needs_loss=True, is_part=is_shared_out(self))
        self._series = EpochSeries(self._names, self.epoch_freq)
        self._series.create(callback_data, epochs, directions=("min", None))

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        cost, elapsed_s = evaluated(self, model, self._request(), epoch)
        self._series.write(callback_data, epoch, (cost, elapsed_s))

    def _request(self) -> Request:
        return Request(self.eval_set, CostTally, self._clock)
