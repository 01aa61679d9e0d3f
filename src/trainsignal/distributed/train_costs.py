"""`TrainCosts`: the costs of an epoch's minibatches, of which the mean over the ranks counts.

They travel with the other values of the epoch's end. Until then each rank has its own in its series.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from trainsignal import keys
from trainsignal.cost import MinibatchCost
from trainsignal.distributed.communicator import Numbers
from trainsignal.evaluation.exchange import Exchange
from trainsignal.shared_data import SharedData

SERIES: Final = (keys.TRAIN_COST, keys.MULTICOST_TRAIN, keys.MULTICOST_BRANCHES)
"""Series with a row a minibatch that are costs."""

_HEAD: Final = 3
"""Numbers before the rows: sum and count of the costs that the loop set, who has to tell something anew."""


class TrainCosts:
    """Packs an epoch's costs, and puts the means over the ranks in their place.

    What travels is what any rank has, so that one without a series, because its callback failed or runs on
    the first rank alone, goes along. A cost of NaN makes the mean NaN, as it does within a process.
    """

    def __init__(self, data: SharedData, cost: MinibatchCost, others: Exchange) -> None:
        """Stand for a run.

        Args:
            data: has the series.
            cost: has the mean of the epoch.
            others: the ranks.
        """
        self._data = data
        self._cost = cost
        self._others = others
        self._first = self._count = 0
        self._window: Callable[[], deque[float]] | None = None
        self._told: dict[str, Any] = {}
        self._room = self._width = 0  # agreed on, as is:
        self._shapes: dict[str, tuple[int, ...]] = {}

    def share(self, window: Callable[[], deque[float]]) -> None:
        """Have the last costs, which a smoothing goes on with, be means over the ranks from each epoch's end.

        So that a checkpoint, which the first rank writes, has what a run of other ranks goes on with.

        Args:
            window: returns them, with a `maxlen`; where that differs, each rank keeps its own.
        """
        self._window = window

    def agree(self, minibatches: int) -> None:
        """Agree on what travels; all ranks call this.

        Args:
            minibatches: of an epoch, as far as this rank knows; 0 where it does not.

        Raises:
            RankFailedError: another rank failed.
            CommunicatorError: the ranks do not reach each other.
        """
        self._told = self._mine()
        content = json.dumps({**self._told, "minibatches": minibatches}).encode()
        told = [json.loads(one) for one in self._others.gather(content)]
        self._room = max(self._room, *(one["minibatches"] for one in told))
        widths = {one["window"] for one in told if one["window"]}
        self._width = widths.pop() if len(widths) == 1 else 0
        shapes: dict[str, set[tuple[int, ...]]] = {}
        for one in told:
            for key, shape in one["series"].items():
                shapes.setdefault(key, set()).add(tuple(shape))
        self._shapes = {key: alike.pop() for key, alike in sorted(shapes.items()) if len(alike) == 1}

    def exchange(self, first: int, count: int, send: Callable[[Numbers], Numbers]) -> None:
        """Put the means over the ranks in the place of this rank's costs of an epoch that ends.

        Args:
            first: row of the epoch's first minibatch, over all epochs.
            count: minibatches of the epoch on this rank.
            send: returns the sums over the ranks of these numbers, which travel with other values.

        Raises:
            RankFailedError, CommunicatorError: out of `send`.
        """
        self._first, self._count = first, count
        total, told = self._cost.epoch_sums
        window = self._window() if self._window is not None and self._width else deque[float]()
        packed = _packed(window, self._width)
        is_news = count > self._room or self._mine() != self._told
        sums = send(np.concatenate([np.array([total, told, is_news], np.float64), packed, *self._rows()]))
        self._cost.replace_epoch_sums(float(sums[0]), int(sums[1]))
        rows = _HEAD + len(packed)
        _unpack(window, sums[_HEAD:rows])
        if not sums[2]:
            self._write(sums[rows:])
            return
        self.agree(count)
        if self._shapes:
            self._write(self._others.sum(np.concatenate([*self._rows()])))

    def _mine(self) -> dict[str, Any]:
        """Return what this rank has, as plain values."""
        window = None if self._window is None else self._window()
        return {
            "window": 0 if window is None else window.maxlen,
            "series": {key: list(self._data[key].shape[1:]) for key in SERIES if key in self._data},
        }

    def _rows(self) -> Iterator[Numbers]:
        """Yield, for each series, sums and counts of its rows."""
        for key, shape in self._shapes.items():
            rows, there = np.zeros((2, self._room, *shape))
            count = self._count_in(key)
            if count:
                rows[:count] = self._data[key][self._first : self._first + count]
                there[:count] = 1
            yield rows.reshape(-1)
            yield there.reshape(-1)

    def _write(self, numbers: Numbers) -> None:
        """Write the means over the ranks that have the minibatch."""
        at = 0
        for key, trailing in self._shapes.items():
            shape = (self._room, *trailing)
            size = int(np.prod(shape))
            sums, counts = numbers[at : at + size], numbers[at + size : at + 2 * size]
            at += 2 * size
            count = self._count_in(key)
            if count:
                means = (sums / np.maximum(counts, 1)).reshape(shape)
                self._data[key][self._first : self._first + count] = means[:count]

    def _count_in(self, key: str) -> int:
        """Return how many rows of the epoch this rank has."""
        length = len(self._data[key]) if key in self._data else 0
        return max(0, min(self._room, self._count, length - self._first))


def _packed(window: deque[float], width: int) -> Numbers:
    """Return (2 * width,): the costs from the newest on, then 1 for each that is there."""
    packed = np.zeros(2 * width)
    packed[: len(window)] = list(reversed(window))
    packed[width : width + len(window)] = 1
    return packed


def _unpack(window: deque[float], sums: Numbers) -> None:
    """Put means over the ranks that have a cost in its place."""
    costs, counts = np.split(sums, 2)
    there = len(window)
    means = costs[:there] / counts[:there]
    window.clear()
    window.extend(means[::-1].tolist())
