"""A run as a piece of HTML for notebooks: what ran and how it ended, tables, small charts.

No script, nothing from elsewhere; what an archive says is escaped. Shorter than 100 KB, however long the run.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np

from trainsignal.report.best import best_of, last_of
from trainsignal.report.colours import COLOURS
from trainsignal.report.facts import drawn_elsewhere, facts, newest_checkpoints
from trainsignal.report.grouping import ChartGroup, Line, group_series
from trainsignal.report.html_parts import (
    CHECKPOINT_HEADS,
    NUMBERS,
    SERIES_HEADS,
    callback_name,
    checkpoint_cells,
    headline,
    progress_bar,
    series_cells,
    table,
)
from trainsignal.report.records import Run, Series
from trainsignal.report.svg_chart import Curve, svg_chart
from trainsignal.report.thinning import thinned
from trainsignal.report.timeline import Timeline
from trainsignal.report.wording import amount, counted, duration, shortened

_MOST_CHARTS, _MOST_ROWS, _MOST_SLOW, _MOST_CHECKPOINTS, _MOST_PROBLEMS = 12, 12, 5, 3, 5

_MOST_CURVES = len(COLOURS)

_CHART_POINTS: Final = 360
"""Of all curves of a chart together."""

_LONGEST_TEXT: Final = 200
"""Characters of a problem, and of the name of a chart or a curve."""


def page(run: Run) -> str:
    """Return a run as HTML."""
    return framed(
        "".join(
            (
                headline(f"<b>{escape(run.name)}</b>", run.about),
                _problems(run),
                progress_bar(run.about),
                _facts(run),
                f'<div class="beside">{_values(run.series)}{_costs(run)}</div>',
                _charts(run),
            )
        )
    )


def notice(text: str, preformatted: str = "") -> str:
    """Return a sentence as HTML, and below it a text that keeps its lines."""
    below = f"<pre>{escape(preformatted)}</pre>" if preformatted else ""
    return framed(f'<p class="notice">{escape(text)}</p>{below}')


def framed(content: str) -> str:
    """Return HTML with the style sheet that it is shown with.

    What UTF-8 cannot hold, as bytes of a path that are no text, is shown by escapes: notebooks are UTF-8.
    """
    shown = content.encode(errors="backslashreplace").decode()
    style = importlib.resources.files("trainsignal.report").joinpath("notebook.css").read_text("utf-8")
    return f'<style>{style}</style><div class="trainsignal">{shown}</div>'


def _problems(run: Run) -> str:
    return "".join(f'<p class="notice">{_short(one)}</p>' for one in run.problems[:_MOST_PROBLEMS])


def _facts(run: Run) -> str:
    told = "".join(f"<div><dt>{name}</dt><dd>{escape(fact)}</dd></div>" for name, fact in facts(run.about))
    archive = f'<div class="wide"><dt>archive</dt><dd>{escape(run.path)}</dd></div>' if run.path else ""
    return f'<dl class="facts">{told}{archive}</dl>'


def _values(every: Sequence[Series]) -> str:
    """Return what series said last and at best; first those that say which direction is better."""
    series = sorted((one for one in every if one.values.size), key=lambda one: one.direction is None)
    rows = [series_cells(one) for one in series[:_MOST_ROWS]]
    return _section(SERIES_HEADS, rows, numbers=NUMBERS, more=len(series) - len(rows))


def _costs(run: Run) -> str:
    """Return the slowest callbacks and the newest checkpoints."""
    slow = [[callback_name(one), duration(one.seconds)] for one in run.callback_times[:_MOST_SLOW]]
    newest = newest_checkpoints(run)
    saved = [checkpoint_cells(one) for one in newest[:_MOST_CHECKPOINTS]]
    callbacks = _section(("callback", "time"), slow, numbers=(1,), more=len(run.callback_times) - len(slow))
    return callbacks + _section(CHECKPOINT_HEADS, saved, numbers=NUMBERS, more=len(newest) - len(saved))


def _section(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int], more: int) -> str:
    """Return a table, and how many more rows there are; nothing without rows."""
    if not rows:
        return ""
    rest = f'<p class="soft">and {more:,} more</p>' if more else ""
    return f"<section>{table(heads, rows, numbers)}{rest}</section>"


def _charts(run: Run) -> str:
    """Return charts of the first groups of series, and what else there is to see elsewhere."""
    groups = group_series([run])
    charts = "".join(_chart(group, run) for group in groups[:_MOST_CHARTS])
    more = [counted(len(groups) - _MOST_CHARTS, "more chart")] if len(groups) > _MOST_CHARTS else []
    more += drawn_elsewhere(run)
    told = (
        f'<p class="soft">{", ".join(more)}: <code>trainsignal report</code> draws them.</p>' if more else ""
    )
    return f'<div class="charts">{charts}</div>{told}'


def _chart(group: ChartGroup, run: Run) -> str:
    """Return a chart with its title and legend; nothing where no value is finite."""
    drawn = [line for line in group.lines if np.isfinite(line.series.values).any()]
    lines = drawn[:_MOST_CURVES]
    if not lines:
        return ""
    points = _CHART_POINTS // len(lines)
    curves = [_curve(line, run.timeline, points) for line in lines]
    is_row = group.axis == "row"
    seams = run.timeline.epochs_at(np.array(run.about.resumed_at[-10:], np.float64))
    svg = svg_chart(
        curves, title=shortened(group.title, _LONGEST_TEXT), x_name="row" if is_row else "epochs",
        unit=group.unit, marks=[] if is_row else seams.tolist(),
    )  # fmt: skip
    names = [
        f'<span><i style="background:{colour}"></i>{_short(line.name)}</span>'
        for colour, line in zip(COLOURS, lines, strict=False)
        if len(lines) > 1 or line.name.casefold() != group.title.casefold()
    ]
    more = (
        f'<span class="soft">and {len(drawn) - len(lines):,} more</span>' if len(drawn) > len(lines) else ""
    )
    caption = f"<figcaption><b>{_short(group.title)}</b>{''.join(names)}{more}</figcaption>"
    return f"<figure>{caption}{svg}</figure>"


def _curve(line: Line, timeline: Timeline, points: int) -> Curve:
    """Return a series as a curve over epochs, with its best value if it is one of few."""
    series = line.series
    rows = thinned(series.values, points)
    best = best_of(series)
    marked = np.flatnonzero(rows == best.row) if best is not None and best.epoch is not None else rows[:0]
    told = {"last": last_of(series), "best": None if best is None else best.value}
    values = (f"{word} {amount(one, series.unit)}" for word, one in told.items() if one is not None)
    return Curve(
        xs=series.moments(rows, timeline),
        ys=series.values[rows].astype(np.float64),
        told=f"{shortened(series.key, _LONGEST_TEXT)}: {', '.join(values)}",
        best=int(marked[0]) if marked.size else None,
    )


def _short(text: str) -> str:
    return escape(shortened(text, _LONGEST_TEXT))
