"""The series of a run as a table in text: key, last value, best value and where it stands."""

from __future__ import annotations

from collections.abc import Sequence

from trainsignal.report.best import best_of, last_of, place_of
from trainsignal.report.records import Series
from trainsignal.report.terminal_text import columns, cut, literal, padded
from trainsignal.report.wording import amount

_GAP = "  "
_LEAST_KEY, _MOST_VALUE = 12, 20
"""Columns."""


def series_table(series: Sequence[Series], *, width: int, encoding: str) -> list[str]:
    """Return the lines of the table, its header first.

    Keys that are too wide lose their middle. Best values stand where the series tells which direction is
    better, with their places: "0.5 (epoch 3)", 0-based.

    Args:
        series: one line each.
        width: columns of the terminal.
        encoding: of the terminal.
    """
    rows = [_cells(one, encoding) for one in series]
    cells = [("series", "last", "best" if any(best for _, _, best in rows) else ""), *rows]
    last, best = (max(columns(row[place]) for row in cells) for place in (1, 2))
    widest = max(columns(row[0]) for row in cells)
    key = min(widest, max(width - last - best - 2 * len(_GAP), _LEAST_KEY))
    return [
        _GAP.join((padded(cut(row[0], key), key), padded(row[1], last), row[2])).rstrip() for row in cells
    ]


def _cells(series: Series, encoding: str) -> tuple[str, str, str]:
    last, best = last_of(series), best_of(series)
    best_told = ""
    if best is not None:
        best_told = f"{_value(best.value, series.unit, encoding)} ({place_of(best, series)})"
    last_told = "no value" if last is None else _value(last, series.unit, encoding)
    return literal(series.key, encoding), last_told, best_told


def _value(value: float, unit: str | None, encoding: str) -> str:
    return cut(literal(amount(value, unit), encoding), _MOST_VALUE)
