"""Small line charts in text; the only file that imports uniplot."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.extras import require
from trainsignal.report.records import Series
from trainsignal.report.terminal_text import can_show, cut, literal
from trainsignal.report.thinning import thinned
from trainsignal.report.timeline import Timeline
from trainsignal.report.wording import amount, number

LEAST_WIDTH = 32
"""Columns below which a chart says nothing."""

_ROWS = 5
_LABEL_COLUMNS = 13  # "-1.23457e-308"
_FRAME_COLUMNS = 3  # two borders, and a space before the label
_BRAILLE = "\N{BRAILLE PATTERN DOTS-12345678}"
_PLAIN_FRAME = str.maketrans("┌┐└┘─│", "++++-|")


def import_uniplot() -> Any:
    """Return the library that draws.

    Raises:
        MissingPackageError: it is not installed.
    """
    return require("uniplot", extra="report", user="drawing charts in a terminal")


def can_be_drawn(series: Series) -> bool:
    """Return whether a series has two points that a line can join."""
    return bool(np.count_nonzero(np.isfinite(series.values)) > 1)


def line_chart(series: Series, timeline: Timeline, *, width: int, encoding: str) -> str:
    """Return a chart of a series that `can_be_drawn`: its key, the curve, what its borders stand for.

    Missing and infinite values are not drawn: the line goes on to the next finite one.

    Args:
        series: what to draw.
        timeline: of its run.
        width: columns, at least `LEAST_WIDTH`.
        encoding: of the terminal; one without Braille gets a chart of ASCII characters.

    Raises:
        MissingPackageError: uniplot is not installed.
    """
    columns = width - _FRAME_COLUMNS - _LABEL_COLUMNS
    rows = thinned(series.values, 4 * columns)
    values = series.values[rows].astype(np.float64)
    moments = series.moments(rows, timeline)
    has_braille = can_show(_BRAILLE, encoding)
    curve: str = import_uniplot().plot_to_string(
        ys=_between_0_and_1(values), xs=moments, lines=True, color=False,
        character_set="braille" if has_braille else "ascii", width=columns, height=_ROWS,
        x_gridlines=[], y_gridlines=[], x_labels=False, y_labels=False,
    )  # fmt: skip
    lines = (curve if has_braille else curve.translate(_PLAIN_FRAME)).splitlines()
    for row, value in _marked(values).items():
        lines[1 + row] += f" {literal(_short(value, series.unit), encoding)}"
    title = cut(literal(series.key, encoding), columns + 2)
    axis = "rows" if series.axis == "row" else "epochs"
    begin, end = number(float(moments[0])), f"{number(float(moments[-1]))} {axis}"
    return "\n".join([title, *lines, f"{begin}{end:>{columns + 2 - len(begin)}}"])


def _between_0_and_1(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the values, moved and scaled; all 0 where they are equal. No finite range is too wide."""
    halves = values / 2  # their difference cannot overflow
    height = halves.max() - halves.min()
    return (halves - halves.min()) / height if height > 0 else np.zeros_like(values)


def _marked(values: npt.NDArray[np.float64]) -> dict[int, float]:
    """Return the values that rows of the chart stand for: the highest and the lowest."""
    highest, lowest = float(values.max()), float(values.min())
    return {_ROWS // 2: highest} if highest == lowest else {0: highest, _ROWS - 1: lowest}


def _short(value: float, unit: str | None) -> str:
    told = amount(value, unit)
    return told if len(told) <= _LABEL_COLUMNS else number(value)
