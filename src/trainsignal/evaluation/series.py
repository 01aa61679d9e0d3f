"""`EpochSeries`: the series of a callback that writes a row at each epoch at which it fires."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from trainsignal import keys
from trainsignal.frequency import Frequency, firings, row_of
from trainsignal.shared_data import SharedData


class EpochSeries:
    """Series of one frequency, written together."""

    def __init__(self, names: Iterable[str], frequency: Frequency) -> None:
        """Stand for series that exist, or that `create` will make.

        Args:
            names: keys of the series.
            frequency: at which epochs they have a row, whatever becomes of the callback's later.
        """
        self._keys = list(names)
        self._frequency = frequency

    def create(self, callback_data: SharedData, epochs: int | None, directions: Sequence[str | None]) -> None:
        """Create the series; a `Numbered` key that is taken gets a number.

        Args:
            callback_data: the shared data.
            epochs: how many there will be; None where unknown.
            directions: "min" or "max" for each series, which values of it are better; None where unknown.
        """
        rows = firings(self._frequency, epochs)
        for place, (key, direction) in enumerate(zip(self._keys, directions, strict=True)):
            attributes = keys.epoch_axis(self._frequency)
            if direction is not None:
                attributes[keys.DIRECTION] = direction
            self._keys[place] = callback_data.create_series(key, rows, attributes=attributes).name

    def write(self, callback_data: SharedData, epoch: int, values: Iterable[Any]) -> None:
        """Write one value to each series, in their order, in the row of the 0-based `epoch`.

        Raises:
            FrequencyError: the series have no row for it.
        """
        row = row_of(self._frequency, epoch)
        for key, value in zip(self._keys, values, strict=True):
            callback_data[key][row] = value
