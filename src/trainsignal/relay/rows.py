"""Which rows of the shared data's series a message tells: those that no message has told yet.

Reads in the thread that trains, which alone may, and never waits for a device.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from trainsignal.shared_data import BufferedDataset

MOST_VALUES: Final = 20_000
"""Numbers in one message: well below the limit of a message."""

LONGEST_NUMBER: Final = 25
"""Characters of one, with its comma."""

Span: TypeAlias = dict[str, Any]
"""{"first": row, "values": (rows, *columns) array}."""


class SeriesRows:
    """What is told of one series.

    Args:
        key: its path.
        series: it.

    Attributes:
        row_size: numbers of one row, and one for its brackets.
        head_size: what the text before the rows takes, as so many numbers.
        dtype: of its numbers.
        columns: shape of one row.
    """

    def __init__(self, key: str, series: BufferedDataset) -> None:
        self._series = series
        self.dtype, self.columns = series.layout_of_rows
        self.row_size: int = math.prod(self.columns) + 1
        self.head_size = 2 + len(json.dumps(key)) // LONGEST_NUMBER

    def _now(self, start: int, stop: int | None) -> npt.NDArray[Any]:
        """Return rows as they are now; those that a device still owes are missing."""
        return self._series.rows_so_far(start, stop)

    @property
    def _may_owe(self) -> bool:
        """Whether rows may be on a device still."""
        return self._series.is_late


class MinibatchRows(SeriesRows):
    """What is told of a series with one row a minibatch: each row once, in order.

    Args:
        key: its path.
        series: it.
        first: the first row to tell.

    Attributes:
        next: the first row that was not told yet, over all epochs.
    """

    def __init__(self, key: str, series: BufferedDataset, first: int) -> None:
        super().__init__(key, series)
        self.next = first

    def take(self, stop: int, most: int) -> Span | None:
        """Return the next rows; None: there are none.

        Args:
            stop: rows before this one, over all epochs, belong to minibatches that are done.
            most: rows to return at most.
        """
        first = self.next
        values = self._now(first, max(first, min(stop, first + most)))
        if self._may_owe and values.dtype.kind == "f":  # the last rows, as far as they are missing, may come
            known = np.flatnonzero(_any_in_row(~np.isnan(values)))
            values = values[: int(known[-1]) + 1 if len(known) else 0]
        self.next += len(values)
        return {"first": first, "values": values} if len(values) else None


class EpochRows(SeriesRows):
    """What is told of a series with rows for epochs: those that are new or have changed since.

    Attributes:
        is_behind: whether the last call of `take` left rows that are to be told yet.
    """

    def __init__(self, key: str, series: BufferedDataset) -> None:
        super().__init__(key, series)
        missing = np.nan if self.dtype.kind == "f" else 0
        self._missing = np.full((1, *self.columns), missing, self.dtype)
        self._told = self._missing[:0]
        self.is_behind = False

    def pass_over(self) -> None:
        """Take what is there now as told: an earlier process has done so."""
        self._told = self._now(0, None)

    def take(self, most: int) -> Span | None:
        """Return the rows from the first to the last new or changed one, at most so many; None: no such."""
        values = self._now(0, None)
        told = np.concatenate(
            (self._told, np.repeat(self._missing, max(0, len(values) - len(self._told)), 0))
        )
        told = told[: len(values)]
        is_same = values == told
        if self.dtype.kind == "f":
            is_same |= np.isnan(values) & np.isnan(told)
        changed = np.flatnonzero(_any_in_row(~is_same))
        self._told = told
        self.is_behind = bool(len(changed)) and int(changed[-1]) + 1 > int(changed[0]) + most
        if not len(changed) or not most:
            return None
        first = int(changed[0])
        span = values[first : min(int(changed[-1]) + 1, first + most)].copy()  # else it keeps all in memory
        told[first : first + len(span)] = span
        return {"first": first, "values": span}


def _any_in_row(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return for each row, (rows, *columns), whether any of its flags is set: (rows,)."""
    return np.asarray(flags.any(axis=tuple(range(1, flags.ndim))))
