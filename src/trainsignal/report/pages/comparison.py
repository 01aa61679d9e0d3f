"""Several runs in a table that sorts by a click on its headers.

A table of HTML: Bokeh's own takes names of columns for HTML, puts missing numbers first when it sorts
downwards, and weighs 300 kB.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Literal

from trainsignal import keys
from trainsignal.report import html_parts
from trainsignal.report.best import best_of, last_of
from trainsignal.report.colours import colour_of, dash_of, round_of
from trainsignal.report.pages import markup
from trainsignal.report.pages.toolkit import models
from trainsignal.report.records import About, Run, Series
from trainsignal.report.wording import amount, duration, ending, moment, number

_MOST_SERIES = 4
"""So many have columns: a last and a best value each."""

_FIRST_HEADS = ("run", "status", "epochs", "duration")
_NUMBERS_FROM = 2
"""0-based column from which on all are numbers."""


_Which = Literal["last", "best"]

_Column = tuple[str, _Which]
"""Key of a series, and which of its values."""


class Comparison:
    """Runs, how far they came, and the last and best values of what they have in common.

    Args:
        runs: two or more, in the order of the rows, until a reader chooses another.

    Attributes:
        model: Bokeh's element.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self.model: Any = markup.element()
        self.model.js_on_change("text", models.CustomJS(code=markup.resource("resort.js")))
        self.update(runs)

    def update(self, runs: Sequence[Run]) -> None:
        """Show the runs as they are now."""
        compared, left_out = _compared(runs)
        columns = _columns(compared, runs)
        heads = [*map(_head, _FIRST_HEADS), *(_head(key, which) for key, which in columns), _head("started")]
        rows = [
            [
                _name_cell(run.name, place),
                *_about_cells(run.about),
                *_series_cells(run, columns),
                _number_cell(run.about.started_at, moment),
            ]
            for place, run in enumerate(runs)
        ]
        table = html_parts.table(heads, rows, range(_NUMBERS_FROM, len(heads)))
        note = f'<p class="soft">{left_out:,} more series are in the charts.</p>' if left_out else ""
        sort = escape(markup.resource("sorted_table.js"))
        self.model.text = f'<h1>{len(runs)} runs</h1><div onclick="{sort}">{table}</div>{note}'


def _compared(runs: Sequence[Run]) -> tuple[list[str], int]:
    """Return the keys of the losses and metrics that most runs have, and how many others there are."""
    groups = (keys.LOSSES, keys.METRICS)
    having = Counter(one.key for run in runs for group in groups for one in run.below(group))
    most_common_first = [key for key, _ in having.most_common()]
    return most_common_first[:_MOST_SERIES], len(most_common_first[_MOST_SERIES:])


def _columns(compared: Sequence[str], runs: Sequence[Run]) -> list[_Column]:
    """Return the columns of series: a best one only where somebody said which direction is better."""
    directed = {one.key for run in runs for one in run.series if one.direction is not None}
    columns: list[_Column] = []
    for key in compared:
        columns.append((key, "last"))
        if key in directed:
            columns.append((key, "best"))
    return columns


def _head(name: str, which: str = "") -> str:
    kind = f'<br><span class="soft">{which}</span>' if which else ""
    return f"<button>{escape(name)}{kind}</button>"


def _name_cell(name: str, place: int) -> str:
    """Return the name of a run, beside a piece of its curves."""
    dash = " ".join(map(str, dash_of(round_of(place)))) or "none"
    swatch = (
        '<svg class="swatch" aria-hidden="true"><line y1="5" x2="100%" y2="5" stroke-width="3" '
        f'stroke="{colour_of(place)}" stroke-dasharray="{dash}"/></svg>'
    )
    shown = escape(name)
    return f'<span class="unbroken" data-text="{shown}">{swatch} {shown}</span>'


def _about_cells(about: About) -> list[str]:
    began, ended = about.started_at, about.ended_at
    took = None if began is None or ended is None else ended - began
    return [
        _status_cell(about),
        _number_cell(about.epochs_complete, number),
        _number_cell(took, duration),
    ]


def _status_cell(about: About) -> str:
    """Return how a run ended, and why below it, where somebody said so."""
    words = ending(about)
    why = "" if words == about.status else f'<br><small class="soft">{escape(words)}</small>'
    return f'<span data-text="{about.status}">{about.status}{why}</span>'


def _series_cells(run: Run, columns: Sequence[_Column]) -> list[str]:
    series = {one.key: one for one in run.series}
    return [
        _number_cell(None, number) if key not in series else _series_cell(series[key], which)
        for key, which in columns
    ]


def _series_cell(series: Series, which: _Which) -> str:
    return _number_cell(_value(series, which), lambda known: amount(known, series.unit))


def _value(series: Series, which: _Which) -> float | None:
    if which == "last":
        return last_of(series)
    best = best_of(series)
    return None if best is None else best.value


def _number_cell(value: float | None, worded: Callable[[float], str]) -> str:
    """Return a number in words, which sorts as a number; a dash where it is missing.

    NaN and infinite ones sort as missing ones do: after all others.
    """
    if value is None:
        return '<span data-number="">&ndash;</span>'
    sorted_by = repr(value) if math.isfinite(value) else ""
    return f'<span data-number="{sorted_by}">{escape(worded(value))}</span>'
