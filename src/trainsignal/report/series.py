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
    rf"({keys.TIME_MARKERS}|{keys.HISTOGRAMS}(_\d+)?|{keys.DECONV}|{keys.CONFIG}|{keys.TRAIN_TIMES})/.*"
    rf"|{keys.CHECKPOINTS}(/.*)?|{keys.CALLBACK_TIMES}|{keys.EPOCH_TIMES}"
)
"""Paths of what is read as something else."""

_UNITS: Final = (
    (re.compile(rf"{keys.SYSTEM}/(gpu_\d+/)?memory"), "bytes"),
    (re.compile(rf"{keys.SYSTEM}/(cpu|gpu_\d+/utilization)"), "percent"),
    (re.compile(rf"{keys.TIMES}/.*"), "seconds"),
)
"""Of series that do not name theirs."""

_SPARSE: Final = frozenset({keys.GAN_ITERATIONS, keys.GAN_COST})
"""Have a number where the generator was updated; as those have that a framework logs, at some minibatches."""

_DIRECTIONS: Final[dict[str, Literal["min", "max"]]] = {"min": "min", "max": "max"}


def read_series(contents: Contents, progress: Progress) -> Iterator[Series]:
    """Yield the series, in the order of the archive; tells of datasets that are no rows of numbers."""
    others: list[str] = []
    for path in contents.datasets:
        if _NO_SERIES.fullmatch(path):
            continue
        found = series_at(contents, path, progress)
        if found is None:
            others.append(shortened(path))
        else:
            yield from found
    if others:
        named = ", ".join(map(repr, others[:5])) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        contents.tell(f"not shown, as it holds no rows of numbers: {named}")


def series_at(contents: Contents, path: str, progress: Progress) -> list[Series] | None:
    """Return the series in a dataset, one for each of its columns; None where it holds no rows of numbers.

    What cannot be read is told, and is none.
    """
    found: list[Series] = []
    with contents.telling(path):
        dataset = contents.dataset(path)
        if dataset is None:
            return found
        axis = _axis_of(contents, path, dataset, progress)
        if not _is_series(dataset, axis):
            return None
        for index, values in enumerate(_columns(contents, dataset)):
            key = path if len(dataset.shape) == 1 else f"{path}[{index}]"
            one = _series(key, path, values, dataset, axis, progress)
            if _goes_beyond(one, progress):
                contents.tell(
                    f"{shortened(key)!r} has rows of epochs that the run did not have: drawn by row"
                )
                one = _series(key, path, values, dataset, ("row", None), progress)
            found.append(one)
        if len(dataset.shape) == 2 and dataset.shape[1] > MOST_COLUMNS:
            contents.tell(f"{shortened(path)!r} has {dataset.shape[1]} columns: {MOST_COLUMNS} are shown")
    return found


def _axis_of(contents: Contents, path: str, dataset: Any, progress: Progress) -> tuple[RowAxis, Any]:
    """Return what the rows of a dataset are, and the member whose attributes say which epochs.

    neon's seconds of an evaluation lack an axis; theirs is that of the evaluated loss. Datasets that users
    create with a row for each epoch that was asked for, as neon's callbacks do, tell by their length.
    """
    said = attributes.text(dataset, keys.TIME_MARKERS)
    label = path.removeprefix(f"{keys.TIMES}/")
    if said is None and label != path:
        dataset = contents.dataset(keys.loss(label))
        said = attributes.text(dataset, keys.TIME_MARKERS)
    elif said is None and progress.has_markers and dataset.shape == (progress.total_epochs,):
        return "epoch", dataset
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
    rows = reached_length(_is_reached(values, kind, epochs, dataset, progress))
    reported_as = attributes.text(dataset, keys.REPORTED_AS)
    return Series(
        key=as_text(key) or "",
        values=values[:rows],
        axis=kind,
        epochs=None if epochs is None else epochs[:rows],
        unit=_unit(path, dataset),
        direction=_direction(path, dataset),
        reported_as=reported_as,
        is_sparse=path in _SPARSE or (reported_as is not None and kind == "minibatch"),
        holds_from_begin=path == keys.LEARNING_RATE,
    )


def _goes_beyond(series: Series, progress: Progress) -> bool:
    """Return whether a series has rows of epochs to which the run cannot have come."""
    if series.epochs is None or not series.epochs.size or not progress.has_markers:
        return False
    return int(series.epochs[-1]) >= max(progress.total_epochs or 0, progress.epochs + 1)


def _is_reached(
    values: Floats, kind: RowAxis, epochs: Indices | None, dataset: Any, progress: Progress
) -> npt.NDArray[np.bool_]:
    """Return which rows the run has reached: those that were done, whatever they hold, and any that tell.

    What is not done, or nobody marked, tells by a number; not by the zero that fills what was never written.
    """
    is_told = ~np.isnan(values)
    if kind == "row" or not progress.has_markers:
        return is_told
    if not dataset.fillvalue:
        is_told &= values != 0
    if epochs is None:
        return is_told | (np.arange(values.size) < progress.minibatches)
    return is_told | (epochs < progress.epochs)


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
    is_cost = path.startswith(f"{keys.LOSSES}/") or path == keys.MULTICOST_TRAIN
    return told or ("min" if is_cost else None)
