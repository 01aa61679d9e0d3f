"""`TrainCosts`: the costs of an epoch's minibatches, of which the mean over the ranks counts.

They travel with the other values of the epoch's end. Until then each rank has its own in its series.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

import numpy as np

from trainsignal import keys
from trainsignal.cost import MinibatchCost
from trainsignal.distributed.communicator import Numbers
from trainsignal.shared_data import SharedData

SERIES: Final = (keys.TRAIN_COST, keys.MULTICOST_TRAIN, keys.MULTICOST_BRANCHES)
"""Series with a row a minibatch that are costs."""

_HEAD: Final = 3
"""Numbers before the rows: sum and count of the costs that the loop set, who lacks room."""


class Ranks(Protocol):
    """The ranks of a run: see `trainsignal.distributed.ranks.Ranks`."""

    def sum(self, values: Numbers) -> Numbers:
        """Return the sums over all ranks."""
        ...

    def gather(self, content: bytes) -> list[bytes]:
        """Return the contents of all ranks."""
        ...


class TrainCosts:
    """Packs an epoch's costs, and puts the means over the ranks in their place.

    Attributes:
        room: rows of an epoch that travel; the same on all ranks.
    """

    def __init__(self, data: SharedData, cost: MinibatchCost, room: int) -> None:
        """Stand for a run.

        Args:
            data: has the series.
            cost: has the mean of the epoch.
            room: minibatches of an epoch, as far as the ranks know; 0 where nobody does.
        """
        self.room = room
        self._data = data
        self._cost = cost
        self._first = self._count = 0
        self._windows: list[Callable[[], deque[float]]] = []

    def share(self, window: Callable[[], deque[float]]) -> None:
        """Have the last costs, which a smoothing goes on with, be means over the ranks from each epoch's end.

        So that a checkpoint, which the first rank writes, has what a run of other ranks goes on with.

        Args:
            window: returns them, with a `maxlen` that is the same on all ranks.
        """
        self._windows.append(window)

    def exchange(self, first: int, count: int, others: Ranks, send: Callable[[Numbers], Numbers]) -> None:
        """Put the means over the ranks in the place of this rank's costs of an epoch that ends.

        Args:
            first: row of the epoch's first minibatch, over all epochs.
            count: minibatches of the epoch on this rank.
            others: the ranks, for rows that had no room, as in a first epoch of unknown length.
            send: returns the sums over the ranks of these numbers, which travel with other values.
        """
        self._first, self._count = first, count
        total, told = self._cost.epoch_sums
        head = np.array([total, told, count > self.room], np.float64)
        shared = [window() for window in self._windows]
        windows = [_packed(window) for window in shared]
        sums = send(np.concatenate([head, *windows, *self._rows()]))
        self._cost.replace_epoch_sums(float(sums[0]), int(sums[1]))
        rows = _HEAD
        for window, packed in zip(shared, windows, strict=True):
            _unpack(window, sums[rows : rows + len(packed)])
            rows += len(packed)
        if not sums[2]:
            self._write(sums[rows:])
            return
        self.room = max(int(length) for length in others.gather(b"%d" % count))
        if self._series():
            self._write(others.sum(np.concatenate([*self._rows()])))

    def _rows(self) -> Iterator[Numbers]:
        """Yield, for each series, sums and counts of its rows: missing ones count nothing."""
        for series in self._series():
            rows = np.full((self.room, *series.shape[1:]), np.nan)
            count = self._count_in(series)
            rows[:count] = series[self._first : self._first + count]
            there = ~np.isnan(rows)
            yield np.where(there, rows, 0.0).reshape(-1)
            yield there.astype(np.float64).reshape(-1)

    def _write(self, numbers: Numbers) -> None:
        """Write the means; a cost that is NaN on a rank is missing there, and the mean is of the others'."""
        at = 0
        for series in self._series():
            shape = (self.room, *series.shape[1:])
            size = int(np.prod(shape))
            sums, counts = numbers[at : at + size], numbers[at + size : at + 2 * size]
            at += 2 * size
            with np.errstate(invalid="ignore"):
                means = (sums / counts).reshape(shape)
            count = self._count_in(series)
            series[self._first : self._first + count] = means[:count]

    def _count_in(self, series: Any) -> int:
        return max(0, min(self.room, self._count, len(series) - self._first))

    def _series(self) -> list[Any]:
        return [self._data[key] for key in SERIES if key in self._data]


def _packed(window: deque[float]) -> Numbers:
    """Return (2 * maxlen,): the costs from the newest on, then 1 for each that is there."""
    size = window.maxlen or 0
    packed = np.zeros(2 * size)
    packed[: len(window)] = list(reversed(window))
    packed[size : size + len(window)] = 1
    return packed


def _unpack(window: deque[float], sums: Numbers) -> None:
    """Put means over the ranks that have a cost in its place."""
    costs, counts = np.split(sums, 2)
    there = min(len(window), np.count_nonzero(counts))
    means = costs[:there] / counts[:there]
    window.clear()
    window.extend(means[::-1].tolist())
