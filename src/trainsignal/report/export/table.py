"""The rows that all formats share: one line for each value of each series, as plain columns.

    column            type   meaning
    series            text   key in the archive: "cost/train"
    row               int    0-based, in the series
    epoch             int    0-based epoch that the value belongs to
    epochs_done       float  the moment that it tells of, in epochs since the run began; 2.5: amid the third
    minibatches_done  int    the same moment, in minibatches since the run began
    seconds           float  the same moment, in seconds since the run began; between noted times interpolated
    value             float  NaN where the row was not written, or what it holds is none

What nobody knows is missing: all of `epoch`, `epochs_done`, `minibatches_done` and `seconds` where the
archive does not say what the rows of a series are. The moment is the end of the minibatch or epoch; of a
learning rate, which holds from there on, the begin. Rows that the run never reached are none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.report.records import Floats, Indices, Run, Series
from trainsignal.report.timeline import Timeline

COLUMNS = ("series", "row", "epoch", "epochs_done", "minibatches_done", "seconds", "value")

BLOCK_ROWS = 1 << 16

_EPOCH_DIGITS, _SECOND_DIGITS = 9, 6
"""Decimals of what is interpolated: beyond them it knows nothing."""

_EXACT = 2**53
"""Below it a float64 tells each integer from the next; no run has more minibatches."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive rows of one series, column by column.

    Attributes:
        series: whose rows.
        row: (rows,).
        epoch: (rows,); None: missing.
        epochs_done: (rows,); None: missing.
        minibatches_done: (rows,); None: missing.
        seconds: (rows,), NaN where missing; None: missing in all rows.
        value: (rows,) in the type in which it is stored, NaN where missing.
    """

    series: Series
    row: Indices
    epoch: Indices | None
    epochs_done: npt.NDArray[np.float64] | None
    minibatches_done: Indices | None
    seconds: npt.NDArray[np.float64] | None
    value: Floats


def blocks(series: Series, timeline: Timeline, rows: int = BLOCK_ROWS) -> Iterator[Block]:
    """Yield the rows of a series in blocks of at most `rows`."""
    for begin in range(0, series.values.size, rows):
        values = series.values[begin : begin + rows]
        yield _block(series, timeline, np.arange(begin, begin + values.size), values)


def storable(text: str) -> str:
    """Return `text` with lone surrogates, which UTF-8 does not have, written as escapes."""
    return text.encode(errors="backslashreplace").decode()


def overview(run: Run) -> dict[str, Any]:
    """Return what ran and how it ended: the run's name and path, and all of `About` by the same names.

    JSON has all of it, as no moment of a run is NaN or infinite.
    """
    return {"name": run.name, "path": run.path, **dataclasses.asdict(run.about)}


def _block(series: Series, timeline: Timeline, row: Indices, values: Floats) -> Block:
    if series.axis == "row":
        return Block(series, row, None, None, None, None, values)
    moments = series.moments(row, timeline)
    if series.epochs is not None:
        epoch = series.epochs[row]
        minibatches = timeline.places(moments, "minibatch")
    else:
        epoch = np.floor(timeline.epochs_at(row.astype(np.float64))).astype(np.int64)
        minibatches = (row if series.holds_from_begin else row + 1).astype(np.float64)
    seconds = timeline.places(moments, "time")
    return Block(
        series, row, epoch, np.round(moments, _EPOCH_DIGITS),
        np.rint(minibatches).astype(np.int64) if (minibatches < _EXACT).all() else None,
        np.round(seconds, _SECOND_DIGITS) if np.isfinite(seconds).any() else None,
        values,
    )  # fmt: skip
