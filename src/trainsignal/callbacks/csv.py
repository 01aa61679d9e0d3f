"""`CSVCallback`: one line an epoch in a CSV file."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from trainsignal import keys
from trainsignal.callback import Callback
from trainsignal.csv_table import CSVTable
from trainsignal.errors import ConfigurationError, did_you_mean
from trainsignal.files import check_target, expand
from trainsignal.readings import is_per_epoch, is_tracked, tracked_series, value_at_epoch_end
from trainsignal.run_link import run_of
from trainsignal.shared_data import BufferedDataset, SharedData


class CSVCallback(Callback):
    """Writes a line for each epoch: index, minibatches done, time, and what the series say at its end.

    The columns are "epoch" (0-based), "minibatches" (done since the run began), "time" (seconds since
    1970-01-01 UTC) and one a series, under its key. A series that has no value at an epoch leaves its field
    empty; numbers are written so that they read back exactly in the series' own type. A series that turns
    up later gets a column of its own, in the lines above too. Series of several numbers a row are left out.

    Lines are whole at any moment. A file that is there when a run begins is kept under a numbered name; a
    resumed run goes on in it, without the lines of epochs that it does again. A full disk ends no run: it is
    reported, and the lines are written as soon as there is room, the newest 1,000 of them. A file that
    somebody removed is reported, and begun anew.
    """

    optional_reads = (keys.EVERYTHING,)
    only_first = True

    def __init__(
        self,
        path: str | Path,
        series: Collection[str] | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Store where and what to write.

        Args:
            path: the file.
            series: keys of those to write, of epochs or of minibatches (what they say at the epoch's last
                one); they must be there at train begin. None: all of epochs, and the training cost.
            clock: seconds since 1970-01-01 UTC.

        Raises:
            ConfigurationError: `path` is no path, or `series` is text.
        """
        super().__init__()
        if isinstance(series, str):
            raise ConfigurationError(f"series={series!r}: expected a list of keys: [{series!r}]")
        self.path = path
        self.series = series
        self._clock = clock
        self._table = CSVTable(expand(path))

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        path = expand(self.path).absolute()  # wherever the process goes later
        check_target(path, "the table")
        run_of(self).claim_file(path, f"{type(self).__name__}(path)", self)
        self._table = CSVTable(path)
        self._chosen(callback_data)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        run = run_of(self)
        done = run.minibatches_done
        row = {"epoch": str(epoch), "minibatches": str(done), "time": repr(float(self._clock()))}
        for key, series in self._chosen(callback_data).items():
            value = value_at_epoch_end(series, epoch, done)
            row[key] = "" if value is None else str(value)
        try:
            lost = self._table.append(row)
        except OSError as error:
            self._tell(f"cannot be written: {error}. Training goes on, and the line is tried again.")
            return
        if lost:
            self._tell(f"was gone: it has been made anew, without its first {lost} lines.")

    def state_dict(self) -> dict[str, Any]:
        """Return how many lines count, and those that wait for room on the disk."""
        unwritten = [dict(row) for row in self._table.unwritten]
        return {**super().state_dict(), "lines": self._table.lines, "unwritten": unwritten}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Cut the file back to the lines that were in it when the state was saved."""
        try:
            is_whole = self._table.resume(state["lines"], state["unwritten"])
        except OSError as error:
            raise ConfigurationError(
                f"{str(self._table.path)!r} cannot be continued: {error}. Move it away, or mend its "
                "permissions."
            ) from error
        if not is_whole:
            self._tell(
                f"has less than the {state['lines']} lines that it had at the checkpoint. Training goes on, "
                "and new lines follow those that are there."
            )

    def _chosen(self, callback_data: SharedData) -> dict[str, BufferedDataset]:
        """Return the series to write, by key.

        Raises:
            ConfigurationError: one that the user named is not there, or has no number for an epoch.
        """
        tracked = tracked_series(callback_data)
        if self.series is None:
            return {key: one for key, one in tracked.items() if is_per_epoch(one) or key == keys.TRAIN_COST}
        for key in self.series:
            if key not in callback_data:
                raise ConfigurationError(f"no series is named {key!r}.{did_you_mean(key, tracked)}")
            if not is_tracked(callback_data[key]):
                raise ConfigurationError(
                    f"{key!r} has no number for an epoch. Series that have: {', '.join(tracked)}"
                )
        return {key: callback_data[key] for key in self.series}

    def _tell(self, problem: str) -> None:
        run_of(self).report(f"{type(self).__name__}: {str(self._table.path)!r} {problem}")
