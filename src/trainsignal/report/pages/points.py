"""Which points of a series are drawn, and where on each axis. Pure; draws nothing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trainsignal.report.pages.digests import Digest
from trainsignal.report.records import Indices, Series
from trainsignal.report.thinning import thinned
from trainsignal.report.timeline import AXES, Axis, Timeline

Columns: TypeAlias = dict[str, npt.NDArray[Any]]

DOT_SIZE, STAR_SIZE = 5, 13
"""In pixels."""

_FEW = {"minibatch": 20, "epoch": 100, "row": 100}
"""By what its rows are: a line of no more points has a dot at each. Minibatches are rather a curve."""


@dataclass(frozen=True, slots=True)
class Window:
    """What of an axis is looked at: from `start` to `end`, in seconds where it is time."""

    axis: Axis
    start: float
    end: float


def columns(series: Series, digest: Digest, timeline: Timeline, window: Window | None = None) -> Columns:
    """Return the columns of a line: those that the digest tells, and as many within a window.

    Args:
        series: any.
        digest: of it.
        timeline: of its run.
        window: what a visitor has zoomed into; None: everything.

    Returns:
        Each (points,). "epoch", "minibatch", "time": where, in epochs, minibatches and seconds since the run
        began; where nobody knows what rows are, all three hold the rows. "value": NaN where the line breaks,
        since a value is missing there or is not finite. "row": 0-based; -1 at a break. "dot", "star": uint8,
        sizes in pixels of marks, 0 for none: a dot at each of few points and where a line would not show, a
        star at the best value.
    """
    rows = digest.rows
    if window is not None and series.axis != "row":
        begin, end = _rows_within(series, timeline, window)
        within = begin + thinned(series.values[begin:end], digest.points)
        rows = np.concatenate((rows[rows < begin], within, rows[rows >= end]))
    rows, is_break = _with_breaks(rows, digest.gaps)
    drawn = np.where(is_break, np.nan, series.values[rows])
    found = {
        **_places(series, timeline, rows),
        "value": drawn.astype(series.values.dtype),
        "row": np.where(is_break, -1, rows).astype(np.int32),
        "dot": np.where(_needs_dot(is_break, _FEW[series.axis]), DOT_SIZE, 0).astype(np.uint8),
        "star": np.where((rows == digest.best_row) & ~is_break, STAR_SIZE, 0).astype(np.uint8),
    }
    if series.holds_from_begin and rows.size:
        found = _held_to_the_end(found, series, timeline)
    return {name: _compact(column) for name, column in found.items()}


def _rows_within(series: Series, timeline: Timeline, window: Window) -> tuple[int, int]:
    """Return the first row in a window and the one after the last, and one more on either side."""
    count = series.values.size

    def place(row: int) -> float:
        at = series.moments(np.array([row]), timeline)
        return float(timeline.places(at, window.axis)[0])

    begin = bisect_left(range(count), window.start, key=place)
    end = bisect_right(range(count), window.end, key=place)
    return max(begin - 1, 0), min(end + 1, count)


def _with_breaks(rows: Indices, gaps: Indices) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Return rows and, before each that comes after a gap, its index again.

    Returns:
        The rows, and which of them are such breaks.
    """
    after_gap = np.flatnonzero(np.diff(np.searchsorted(gaps, rows))) + 1
    is_break = np.insert(np.zeros(rows.size, np.bool_), after_gap, True)
    return np.insert(rows, after_gap, rows[after_gap]), is_break


def _needs_dot(is_break: npt.NDArray[np.bool_], few: int) -> npt.NDArray[np.bool_]:
    """Return at which points a dot stands: at all if they are few, else where a break is on both sides."""
    if is_break.size <= few:
        return ~is_break
    around = np.concatenate(([True], is_break, [True]))
    return ~is_break & around[:-2] & around[2:]


def _places(series: Series, timeline: Timeline, rows: Indices) -> Columns:
    """Return where rows lie on each axis."""
    if series.axis == "row":
        return {axis: rows.astype(np.float64) for axis in AXES}
    moments = series.moments(rows, timeline)
    return {axis: _exact(timeline.places(moments, axis), axis) for axis in AXES}


def _exact(places: npt.NDArray[np.float64], axis: Axis) -> npt.NDArray[np.float64]:
    """Return whole minibatches, which going by way of epochs has blurred."""
    return np.round(places) if axis == "minibatch" else places


def _held_to_the_end(found: Columns, series: Series, timeline: Timeline) -> Columns:
    """Return columns with one more point: the last value holds until its minibatch or epoch is over."""
    end = _places(replace(series, holds_from_begin=False), timeline, np.array([series.values.size - 1]))
    last = {name: column[-1:] for name, column in found.items()}
    nothing = {"dot": np.zeros(1, np.uint8), "star": np.zeros(1, np.uint8)}
    return {name: np.append(found[name], {**last, **end, **nothing}[name]) for name in found}


def _compact(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return floating numbers in half the bytes where that loses nothing, so that pages stay small."""
    if column.dtype.kind != "f":
        return column
    with np.errstate(over="ignore"):
        half = column.astype(np.float32)
    wide = column.astype(np.float64)
    return half if np.array_equal(half.astype(np.float64), wide, equal_nan=True) else wide
