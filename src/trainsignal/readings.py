"""What the series say of one moment of the run: which row belongs to it, and the number that stands there.

Reads shared data by the attributes with which each series tells its axis; writes nothing.
"""

from __future__ import annotations

import math
from typing import Any

from trainsignal import keys
from trainsignal.frequency import Frequency, fires, row_of
from trainsignal.shared_data import BufferedDataset, SharedData


def tracked_series(data: SharedData) -> dict[str, BufferedDataset]:
    """Return the series that have one number a row and tell their axis, by key, in alphabetical order."""
    found: dict[str, BufferedDataset] = {}

    def note(name: str, member: object) -> None:
        if isinstance(member, BufferedDataset) and is_tracked(member):
            found[name] = member

    data.visititems(note)
    return found


def is_tracked(series: BufferedDataset) -> bool:
    """Return whether a series has one number a row, for each minibatch or for epochs that it tells."""
    return series.ndim == 1 and _axis(series) in (keys.PER_MINIBATCH, keys.PER_EPOCH_FREQ)


def is_per_minibatch(series: BufferedDataset) -> bool:
    """Return whether a series has one row a minibatch."""
    return _axis(series) == keys.PER_MINIBATCH


def is_per_epoch(series: BufferedDataset) -> bool:
    """Return whether a series has rows for epochs that it tells."""
    return _axis(series) == keys.PER_EPOCH_FREQ


def epoch_row(series: BufferedDataset, epoch: int) -> int | None:
    """Return the row of the 0-based `epoch`; None where the series has none, or is not that long yet.

    A series that does not tell its frequency has a row for every epoch.
    """
    frequency: Frequency = series.attrs.get(keys.EPOCHS, series.attrs.get(keys.EPOCH_FREQ, 1))
    if not fires(frequency, epoch):
        return None
    row = row_of(frequency, epoch)
    return row if row < len(series) else None


def value_in(series: BufferedDataset, row: int | None) -> Any:
    """Return the number in a row as it is stored, a NumPy scalar; None where it is missing (NaN too)."""
    if row is None or not 0 <= row < len(series):
        return None
    value = series[row]
    return None if math.isnan(value) else value


def is_unreported(series: BufferedDataset, row: int) -> bool:
    """Return whether a framework, whose values the series holds, reported nothing for this row."""
    return keys.REPORTED_AS in series.attrs and value_in(series, row) is None


def value_at_epoch_end(series: BufferedDataset, epoch: int, minibatches: int) -> Any:
    """Return what a tracked series says at the end of an epoch; None where that is missing.

    Args:
        series: for one of the minibatches, it is the row of the epoch's last one.
        epoch: 0-based.
        minibatches: done up to the epoch's end, over all epochs.
    """
    return value_in(series, minibatches - 1 if is_per_minibatch(series) else epoch_row(series, epoch))


def _axis(series: BufferedDataset) -> object:
    return series.attrs.get(keys.TIME_MARKERS)
