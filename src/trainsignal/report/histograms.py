"""Histograms of parameters: counts by powers of two, a column a step, read so that few columns remain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trainsignal import keys
from trainsignal.histogram import OFFSET
from trainsignal.report import attributes
from trainsignal.report.attributes import as_text
from trainsignal.report.contents import Contents, is_numeric, written_length
from trainsignal.report.progress import Progress
from trainsignal.report.records import Histogram, Indices, RowAxis
from trainsignal.report.series import axis_named, reached_length

MOST_COLUMNS: Final = 300
"""Of more steps, neighbours are averaged."""

MOST_BINS: Final = 1024

MOST_STEP_BYTES: Final = 2**33
"""Of one histogram in the file: more would take minutes to read."""

_BLOCK_BYTES: Final = 2**24
_GROUP: Final = re.compile(rf"{keys.HISTOGRAMS}(_(\d+))?")
_LAYER: Final = re.compile(r".*_(\d+)_.+")
"""Of the name of a histogram, "<layer>_<index>_<parameter>", the index."""


def read_histograms(contents: Contents, progress: Progress) -> Iterator[Histogram]:
    """Yield the histograms, those of the first layer first; of a second callback after those of the first."""
    for group in _groups(contents):
        attributes_of_all = contents.group(group)
        for path in sorted(contents.datasets_in(group), key=_layer_index):
            with contents.telling(path):
                dataset = contents.dataset(path)
                if dataset is not None:
                    name = path if group != keys.HISTOGRAMS else path.removeprefix(f"{group}/")
                    yield _histogram(contents, name, dataset, attributes_of_all, progress)


def count_histograms(contents: Contents) -> int:
    """Return how many there are, by name alone: some may turn out to be none."""
    return sum(len(contents.datasets_in(group)) for group in _groups(contents))


def _groups(contents: Contents) -> list[str]:
    """Return the paths of the groups that hold histograms, one a callback."""
    groups = {name: match for name in contents.groups_in("") if (match := _GROUP.fullmatch(name))}
    return sorted(groups, key=lambda name: int(groups[name][2] or 1))


def _layer_index(path: str) -> float:
    match = _LAYER.fullmatch(path.rpartition("/")[2])
    return float(match[1]) if match else np.inf


def _histogram(contents: Contents, name: str, dataset: Any, group: Any, progress: Progress) -> Histogram:
    """Return one histogram.

    Raises:
        ValueError: it is none, or too large.
        Exception: one of `READ_ERRORS`.
    """
    if (
        not is_numeric(dataset)
        or dataset.dtype.kind == "f"
        or len(dataset.shape) != 2
        or not 0 < dataset.shape[0] <= MOST_BINS
    ):
        raise ValueError("it holds no counts of the shape (bins, steps)")
    axis = axis_named(attributes.text(group, keys.TIME_MARKERS))
    steps = _reached_steps(contents, dataset, axis, progress)
    width = max(1, -(-steps // MOST_COLUMNS))
    begins = np.arange(0, steps, width, dtype=np.float64)
    offset = attributes.numbers(group, keys.OFFSET, most=1)
    first = int(offset[0]) if offset.size and abs(offset[0]) < 2**31 else OFFSET
    return Histogram(
        name=as_text(name) or "",
        exponents=np.arange(dataset.shape[0], dtype=np.int64) + first,
        counts=_means(contents, dataset, steps, width),
        begins=begins,
        ends=np.minimum(begins + width, steps),
        axis=axis,
    )


def _reached_steps(contents: Contents, dataset: Any, axis: RowAxis, progress: Progress) -> int:
    """Return how many columns there are without those at the end that were never reached: all of zeros.

    Raises:
        ValueError: it is too large.
        Exception: one of `READ_ERRORS`.
    """
    end = written_length(dataset, 1)
    if end * dataset.shape[0] * dataset.dtype.itemsize > MOST_STEP_BYTES:
        raise ValueError(f"it has {end:,} steps, more than are read")
    done: int = min(end, progress.minibatches if axis == "minibatch" else progress.epochs)
    length: int = max(1, _BLOCK_BYTES // (dataset.shape[0] * dataset.dtype.itemsize))
    for stop in range(end, done, -length):
        begin: int = max(done, stop - length)
        filled = np.count_nonzero(_block(contents, dataset, begin, stop), axis=0)
        reached = reached_length(filled > 0)
        if reached:
            return begin + reached
    return done


def _means(contents: Contents, dataset: Any, steps: int, width: int) -> npt.NDArray[np.float32]:
    """Return the mean counts of each `width` steps, (bins, columns); of the last column, of those left.

    Raises:
        Exception: one of `READ_ERRORS`.
    """
    step_bytes = dataset.shape[0] * dataset.dtype.itemsize
    length = width * max(1, _BLOCK_BYTES // (step_bytes * width))
    means = [np.empty((dataset.shape[0], 0), np.float32)]
    for begin in range(0, steps, length):
        counts = _block(contents, dataset, begin, min(begin + length, steps)).astype(np.float64)
        places: Indices = np.arange(0, counts.shape[1], width, dtype=np.int64)
        sums: npt.NDArray[np.float64] = np.add.reduceat(counts, places, axis=1)
        widths = np.diff(np.append(places, counts.shape[1]))
        means.append((sums / widths).astype(np.float32))
    return np.concatenate(means, axis=1)


def _block(contents: Contents, dataset: Any, begin: int, stop: int) -> npt.NDArray[Any]:
    return contents.read(dataset, (slice(0, dataset.shape[0]), slice(begin, stop)), is_kept=False)
