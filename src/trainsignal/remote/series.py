"""`RemoteSeriesCallback`: makes the series of a remote run in its replica, and fills them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from trainsignal import keys
from trainsignal.callback import Callback
from trainsignal.remote.announced import Rows, Series
from trainsignal.run_link import run_of
from trainsignal.shared_data import BufferedDataset, SharedData


class RemoteSeriesCallback(Callback):
    """Writes rows that have come from another machine, at the signals to which they belong.

    So who reads them finds them there, and no more than them, as at home.
    """

    def __init__(self, series: Collection[Series], *, are_all: bool) -> None:
        """Store what to make.

        Args:
            series: that are known when the run begins.
            are_all: whether the run has told of all that it has by then; else any may turn up.
        """
        super().__init__()
        self.writes = tuple(one.key for one in series) if are_all else (keys.Below("*"),)
        self._first_series = tuple(series)
        self._found: dict[str, BufferedDataset] = {}  # a look into the file takes longer than the rows do
        self._minibatch_rows: list[tuple[BufferedDataset, int, Any]] = []
        self._epoch_rows: list[Rows] = []

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        """Make the series that are known."""
        self._found, self._minibatch_rows, self._epoch_rows = {}, [], []
        for one in self._first_series:
            _made(callback_data, one)

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        """Write the rows of this minibatch."""
        row = run_of(self).minibatches_complete + minibatch
        for series, first, values in self._minibatch_rows:
            place = row - first
            if 0 <= place < len(values):
                series[row] = values[place]

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        """Write the rows of this epoch."""
        rows, self._epoch_rows = self._epoch_rows, []
        write(callback_data, rows)

    def at_minibatches(self, callback_data: SharedData, rows: Iterable[Rows], done: int) -> None:
        """Have rows written at the minibatches to which they belong; at once, where those are over.

        Args:
            callback_data: the shared data.
            rows: those of before are forgotten.
            done: minibatches that are over, of the whole run.
        """
        self._minibatch_rows = []
        for one in rows:
            late = max(0, min(done - one.first, len(one.values)))
            if late:
                write(callback_data, [Rows(one.series, one.first, one.values[:late])])
            key = one.series.key
            if key not in self._found:
                self._found[key] = _made(callback_data, one.series)
            self._minibatch_rows.append((self._found[key], one.first + late, _as_written(one)[late:]))

    def at_epoch_end(self, rows: Iterable[Rows]) -> None:
        """Have rows written when the epoch ends, before others hear of that."""
        self._epoch_rows = list(rows)


def write(callback_data: SharedData, rows: Iterable[Rows]) -> None:
    """Write rows, into series that are made where they are not there yet."""
    for one in rows:
        series = _made(callback_data, one.series)
        for row, value in enumerate(_as_written(one), one.first):
            series[row] = value


def raw_cost(rows: Iterable[Rows]) -> Callable[[int], float | None]:
    """Return what tells the cost of a minibatch, by its 0-based row; None where it is not among `rows`.

    Only where the training cost is that of each minibatch alone, and no mean.
    """
    for one in rows:
        if one.series.key == keys.TRAIN_COST and one.series.attributes.get(keys.WINDOW) == 1:
            costs, first = one.values.tolist(), one.first
            return lambda row: costs[row - first] if 0 <= row - first < len(costs) else None
    return lambda row: None


def _made(callback_data: SharedData, series: Series) -> BufferedDataset:
    if series.key not in callback_data:
        return callback_data.create_series(
            series.key, None, columns=series.columns, dtype=series.dtype, attributes=series.attributes
        )
    made: BufferedDataset = callback_data[series.key]
    return made


def _as_written(rows: Rows) -> Any:
    """Return what to assign row by row: Python's own numbers, which are assigned fastest, or arrays."""
    return rows.values if rows.series.columns else rows.values.tolist()
