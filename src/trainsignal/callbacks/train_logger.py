"""`TrainLoggerCallback`: costs as log records."""

from __future__ import annotations

import logging
from typing import Any

from trainsignal import keys
from trainsignal.abilities import HasTotalCost, to_float
from trainsignal.callback import Callback
from trainsignal.frequency import Frequency
from trainsignal.run_link import run_of
from trainsignal.shared_data import SharedData
from trainsignal.smoothed_cost import cost_words, smoothed_costs

_logger = logging.getLogger(__name__)


class TrainLoggerCallback(Callback):
    """Logs the model at the begin, and costs as its frequencies say, at level INFO, in neon's words.

    The training cost of an epoch is the mean of what the loop set as `run.cost`, or else `model.total_cost`.
    """

    optional_reads = (keys.TRAIN_COST, keys.MULTICOST_TRAIN, keys.LOSS)
    only_first = True

    def __init__(self, epoch_freq: Frequency = 1, minibatch_freq: Frequency = None) -> None:
        """Store when to log."""
        super().__init__(epoch_freq=epoch_freq, minibatch_freq=minibatch_freq)

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        _logger.info("Model:\n%s", model)

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        run = run_of(self)
        costs = smoothed_costs(callback_data, run.minibatches_complete + minibatch)
        if not costs and run.cost is not None:
            costs = [run.cost]
        told = cost_words(costs, "f") if costs else "unknown"
        _logger.info("Epoch %d Minibatch %d complete. Train cost: %s", epoch, minibatch, told)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        parts = [f"Epoch {epoch} complete."]
        run = run_of(self)
        cost = run.epoch_cost
        if cost is None and run.epoch_minibatches and isinstance(model, HasTotalCost):
            cost = to_float(model.total_cost)
        if cost is not None:
            parts.append(f"Train Cost {cost:f}.")
        loss = self._get_cached_epoch_loss(callback_data, model, epoch, "loss")
        if loss is not None:
            parts.append(f"Eval Cost {loss['cost']:f}")
        _logger.info("%s", "  ".join(parts))
