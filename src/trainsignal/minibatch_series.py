"""Series with a row for each minibatch of the run: how callbacks make them."""

from __future__ import annotations

from typing import Literal

import numpy.typing as npt

from trainsignal import keys
from trainsignal.shared_data import BufferedDataset, SharedData


def announced_minibatches(callback_data: SharedData) -> int | None:
    """Return how many minibatches the run is to have, over all epochs; None where nobody knows."""
    announced: int | None = callback_data[keys.CONFIG].attrs.get(keys.TOTAL_MINIBATCHES)
    return announced


def create_minibatch_series(
    callback_data: SharedData,
    key: str,
    *,
    columns: tuple[int, ...] = (),
    dtype: npt.DTypeLike = "f4",
    direction: Literal["min", "max"] | None = None,
) -> BufferedDataset:
    """Create and return a series with a row for each minibatch, over all epochs.

    Args:
        callback_data: the shared data.
        key: its path.
        columns: shape of one row; () for a number.
        dtype: missing is NaN where it is floating.
        direction: which values are better; None where that means nothing.

    Raises:
        WiringError: `key` is taken.
    """
    axis = {keys.TIME_MARKERS: keys.PER_MINIBATCH}
    attributes = axis if direction is None else {**axis, keys.DIRECTION: direction}
    rows = announced_minibatches(callback_data)
    return callback_data.create_series(key, rows, columns=columns, dtype=dtype, attributes=attributes)
