"""The series of an archive: every row of numbers that is none of its other entries, and what its rows are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from trainsignal import keys
from trainsignal.report import attributes
from trainsignal.report.attributes import as_text
from trainsignal.report.contents import Contents, floating, is_numeric, shortened, written_length
from trainsignal.report.progress import Progress
from trainsignal.report.records import Floats, Indices, RowAxis, Series

MOST_COLUMNS: Final = 64
"""Of a series with several numbers a row; each becomes a series."""

_BLOCK_BYTES: Final = 2**24
"""Rows of several columns are read by so many bytes."""

_NO_SERIES: Final = re.compile(
    rf"({keys.TIME_MARKERS}|{keys.HISTOGRAMS}(_\d+)?|{keys.DECONV}|{keys.CONFIG}|time/train)/.*"
    rf"|{keys.CHECKPOINTS}(/.*)?|{keys.CALLBACK_TIMES}|{keys.EPOCH_TIMES}"
)
"""Paths of what is read as something else."""

_UNITS: Final = (
    (re.compile(r"system/(gpu_\d+/)?memory"), "bytes"),
    (re.compile(r"system/cpu|system/gpu_\d+/utilization"), "percent"),
    (re.compile(r"time/.*"), "seconds"),
)
"""Of series that do not name theirs."""

_DIRECTIONS: Final[dict[str, Literal["min", "max"]]] = {"min": "min", "max": "max"}


def read_series(contents: Contents, progress: Progress) -> Iterator[Series]:
    """Yield the series, in the order of the archive; tells of datasets that are no rows of numbers."""
    others: list[str] = []
    for path in contents.datasets:
        if _NO_SERIES.fullmatch(path):
            continue
        with contents.telling(path):
            dataset = contents.dataset(path)
            if dataset is None:
                continue
            axis = _axis_of(contents, path, dataset)
            if not _is_series(dataset, axis):
                others.append(shortened(path))
                continue
            columns = _columns(contents, dataset)
            for index, values in enumerate(columns):
                key = path if len(dataset.shape) == 1 else f"{path}[{index}]"
                yield _series(key, path, values, dataset, axis, progress)
            if len(dataset.shape) == 2 and dataset.shape[1] > MOST_COLUMNS:
                contents.tell(f"{shortened(path)!r} has {dataset.shape[1]} columns: {MOST_COLUMNS} are shown")
    if others:
        named = ", ".join(map(repr, others[:5])) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        contents.tell(f"not shown, as it holds no rows of numbers: {named}")


def _axis_of(contents: Contents, path: str, dataset: Any) -> tuple[RowAxis, Any]:
    """Return what the rows of a dataset are, and the member whose attributes say which epochs.

    neon's seconds of an evaluation lack an axis; theirs is that of the evaluated loss.
    """
    said = attributes.text(dataset, keys.TIME_MARKERS)
    label = path.removeprefix("time/")
    if said is None and label != path:
        dataset = contents.dataset(keys.loss(label))
        said = attributes.text(dataset, keys.TIME_MARKERS)
    return axis_named(said), dataset


def axis_named(said: str | None) -> RowAxis:
    """Return the axis that an attribute `time_markers` names; "row" where it names none."""
    if said == keys.PER_MINIBATCH:
        return "minibatch"
    return "epoch" if said in (keys.PER_EPOCH, keys.PER_EPOCH_FREQ) else "row"


def reached_length(is_reached: npt.NDArray[np.bool_]) -> int:
    """Return how many elements there are up to the last true one."""
    return is_reached.size - int(is_reached[::-1].argmax()) if is_reached.any() else 0


def _is_series(dataset: Any, axis: tuple[RowAxis, Any]) -> bool:
    if not is_numeric(dataset):
        return False
    dimensions = len(dataset.shape)
    return dimensions == 1 or (dimensions == 2 and dataset.shape[1] > 0 and axis[0] != "row")


def _columns(contents: Contents, dataset: Any) -> list[Floats]:
    """Return the columns of a dataset as far as anything was written, each (rows,) floating."""
    rows = written_length(dataset, 0)
    if len(dataset.shape) == 1:
        return [floating(contents.read(dataset, (slice(0, rows),)))]
    count = min(dataset.shape[1], MOST_COLUMNS)
    block_rows = max(1, _BLOCK_BYTES // (dataset.dtype.itemsize * count))
    blocks: list[list[Floats]] = [[] for _ in range(count)]
    for begin in range(0, rows, block_rows):
        part = slice(begin, min(begin + block_rows, rows))
        block = floating(contents.read(dataset, (part, slice(0, count))))
        for index, column in enumerate(blocks):
            column.append(np.ascontiguousarray(block[:, index]))
    return [np.concatenate(column) if column else np.empty(0) for column in blocks]


def _series(
    key: str, path: str, values: Floats, dataset: Any, axis: tuple[RowAxis, Any], progress: Progress
) -> Series:
    """Return a column of a dataset as a series, without the rows that were never reached."""
    kind, epochs = axis[0], None
    if kind == "epoch":
        epochs = _epochs(axis[1], values.size)
        values = values[: epochs.size]
        if (epochs[1:] < epochs[:-1]).any():
            order = epochs.argsort(kind="stable")
            epochs, values = epochs[order], values[order]
    is_reached = ~np.isnan(values)
    if kind != "row" and progress.has_markers and not dataset.fillvalue:
        is_ahead = (
            np.arange(values.size) >= progress.minibatches if epochs is None else epochs >= progress.epochs
        )
        is_reached &= ~is_ahead | (values != 0)
    rows = reached_length(is_reached)
    return Series(
        key=as_text(key) or "",
        values=values[:rows],
        axis=kind,
        epochs=None if epochs is None else epochs[:rows],
        unit=_unit(path, dataset),
        direction=_direction(path, dataset),
        reported_as=attributes.text(dataset, keys.REPORTED_AS),
        holds_from_begin=path == keys.LEARNING_RATE,
    )


def _epochs(member: Any, rows: int) -> Indices:
    """Return the 0-based epoch of each row, as far as there is one: at most (rows,)."""
    listed = attributes.numbers(member, keys.EPOCHS)
    if listed.size or keys.EPOCHS in member.attrs:  # an empty list: it never fires
        is_index = (listed >= 0) & (listed < 2**31)
        return listed[:rows].astype(np.int64) if is_index.all() else np.empty(0, np.int64)
    frequency = attributes.whole(member, keys.EPOCH_FREQ) or 1
    return (np.arange(rows, dtype=np.int64) + 1) * min(frequency, 2**31) - 1


def _unit(path: str, dataset: Any) -> str | None:
    known = (unit for pattern, unit in _UNITS if pattern.fullmatch(path))
    return attributes.text(dataset, keys.UNITS) or next(known, None)


def _direction(path: str, dataset: Any) -> Literal["min", "max"] | None:
    """Return which direction is better; of costs, where nobody said, as in neon's archives: the lower."""
    told = _DIRECTIONS.get(attributes.text(dataset, keys.DIRECTION) or "")
    return told or ("min" if path.startswith(f"{keys.LOSSES}/") else None)
