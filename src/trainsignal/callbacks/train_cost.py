"""`TrainCostCallback`: the smoothed cost of each minibatch."""

from __future__ import annotations

from collections import deque
from typing import Any

from trainsignal import keys
from trainsignal.callback import Callback
from trainsignal.minibatch_series import create_minibatch_series
from trainsignal.run_link import joined_run, run_of
from trainsignal.shared_data import BufferedDataset, SharedData
from trainsignal.smoothed_cost import window_width


class TrainCostCallback(Callback):
    """Writes the mean of the last `wsz` minibatch costs, for each minibatch.

    The window runs on from one epoch into the next. A cost of NaN is recorded as it is, and is in the mean
    until it has left the window. Source: neon's callback of this name.
    """

    writes = (keys.TRAIN_COST,)

    def __init__(self, wsz: int = 10) -> None:
        """Store the width of the window.

        Raises:
            ConfigurationError: `wsz` is no int of at least 1.
        """
        super().__init__()
        self.wsz = window_width(wsz)
        self._costs: deque[float] = deque(maxlen=self.wsz)

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        series = create_minibatch_series(callback_data, keys.TRAIN_COST, direction="min")
        series.attrs[keys.WINDOW] = self.wsz
        self._costs.clear()
        run = joined_run(self)
        if run is not None:
            run.share_costs(lambda: self._costs)

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        run = run_of(self)
        series, row = callback_data[keys.TRAIN_COST], run.minibatches_complete + minibatch
        minibatch_cost = run.minibatch_cost
        if minibatch_cost.is_late:
            minibatch_cost.when_known(self._write, series, row)
            series.await_rows(minibatch_cost.settle)
            if series.is_followed:
                minibatch_cost.settle()
            return
        cost = run.cost
        if cost is not None:  # else the loop said nothing of this minibatch: its row stays missing
            self._write(series, row, cost)

    def _write(self, series: BufferedDataset, row: int, cost: float) -> None:
        costs = self._costs
        costs.append(cost)
        series[row] = sum(costs) / len(costs)
