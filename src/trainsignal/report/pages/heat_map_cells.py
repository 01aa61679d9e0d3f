"""The cells of a heat map: shares of a parameter's numbers, by power of two and step. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.report.pages.toolkit import label
from trainsignal.report.records import Histogram, Indices

Cells = dict[str, list[Any]]
"""Columns of a Bokeh data source, a row for each stretch of steps that are equally wide:

    image   (powers, steps) float32: shares from 0 to 1
    total   (steps,) float64: numbers that were counted, of which `image` tells the shares
    x, dw   first step, and how many the stretch covers
    y, dh   lowest edge, and how many powers of two
    lowest, highest  exponents of the histogram's outermost bins, which hold all that is beyond, too
    most    the largest share of the histogram
    title   the histogram's name, as Bokeh shows it
"""


def cells(histogram: Histogram, columns: int) -> Cells:
    """Return what to draw of a histogram: powers of two that occur, and those between them.

    Args:
        histogram: with at least one bin and one column.
        columns: how many to return at most; neighbours become their mean.
    """
    counts, begins, ends = _fewer_columns(histogram, columns)
    counts = np.where(np.isfinite(counts) & (counts > 0), counts, np.float32(0))  # what is no count is none
    occurring = np.flatnonzero((counts > 0).any(axis=1))
    low, high = (occurring[0], occurring[-1]) if occurring.size else (0, len(counts) - 1)
    totals = counts.sum(axis=0, dtype=np.float64)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)[low : high + 1]
    exponents = histogram.exponents
    drawn: Cells = {name: [] for name in ("image", "total", "x", "dw")}
    for steps in _even_stretches(begins, ends):
        drawn["image"].append(np.ascontiguousarray(shares[:, steps]))
        drawn["total"].append(totals[steps])
        drawn["x"].append(float(begins[steps][0]))
        drawn["dw"].append(float(ends[steps][-1] - begins[steps][0]))
    same_everywhere = {
        "y": float(exponents[low]) - 0.5,
        "dh": int(high - low + 1),
        "lowest": int(exponents[0]),
        "highest": int(exponents[-1]),
        "most": float(shares.max()) or 1.0,
        "title": label(histogram.name),
    }
    stretches = len(drawn["x"])
    return drawn | {name: [value] * stretches for name, value in same_everywhere.items()}


def _fewer_columns(
    histogram: Histogram, columns: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return counts, begins and ends, of which neighbours have become one where there are too many."""
    steps: int = histogram.counts.shape[1]
    together = -(-steps // columns)
    firsts: Indices = np.arange(0, steps, together, dtype=np.int64)
    after: Indices = np.append(firsts[1:], steps)
    sums: npt.NDArray[np.float32] = np.add.reduceat(histogram.counts, firsts, axis=1)
    return (sums / (after - firsts)).astype(np.float32), histogram.begins[firsts], histogram.ends[after - 1]


def _even_stretches(begins: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]) -> Iterator[slice]:
    """Yield columns that follow one another and are equally wide: Bokeh draws such an image at once."""
    widths = ends - begins
    breaks = np.flatnonzero((widths[1:] != widths[:-1]) | (begins[1:] != ends[:-1])) + 1
    for first, after in zip([0, *breaks], [*breaks, begins.size], strict=True):
        yield slice(int(first), int(after))
