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
from trainsignal.report.facts import facts, newest_checkpoints
from trainsignal.report.grouping import ChartGroup, Line, group_series
from trainsignal.report.records import About, CallbackTime, Run, SavedCheckpoint, Series
from trainsignal.report.svg_chart import COLOURS, Curve, svg_chart
from trainsignal.report.thinning import thinned
from trainsignal.report.timeline import Timeline
from trainsignal.report.wording import amount, duration, ending, moment, progress

_MOST_CHARTS, _MOST_ROWS, _MOST_SLOW, _MOST_CHECKPOINTS, _MOST_PROBLEMS = 12, 12, 5, 3, 5

_MOST_CURVES = len(COLOURS)

_CHART_POINTS: Final = 360
"""Of all curves of a chart together."""

_LONGEST_NAME: Final = 200
"""Characters of a name; paths are cut there too."""

_TONES = {
    "completed": "#1a9f6b", "stopped": "#3b82f6", "in progress": "#3b82f6", "interrupted": "#d08700",
    "preempted": "#d08700", "failed": "#dd4052", "killed": "#dd4052", "unknown": "currentColor",
}  # fmt: skip


def page(run: Run) -> str:
    """Return a run as HTML."""
    return framed(
        "".join(
            (
                _head(run),
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
    """Return HTML with the style sheet that it is shown with."""
    style = importlib.resources.files("trainsignal.report").joinpath("notebook.css").read_text("utf-8")
    return f'<style>{style}</style><div class="trainsignal">{content}</div>'


def _head(run: Run) -> str:
    """Return the name, the state, why, and how far the run came."""
    about = run.about
    why = ending(about)
    told = "" if why == about.status else f"<p>{_text(why[0].upper() + why[1:])}</p>"
    problems = "".join(f'<p class="notice">{_text(one)}</p>' for one in run.problems[:_MOST_PROBLEMS])
    return (
        f'<header><b>{_text(run.name)}</b><span class="pill" style="--tone:{_TONES[about.status]}">'
        f'{about.status}</span><span class="soft">{_text(progress(about))}</span></header>'
        f"{told}{problems}{_bar(about)}"
    )


def _bar(about: About) -> str:
    """Return how far a run in progress is, as a bar, where it is known how far it will go."""
    done, total = about.minibatches_done, about.total_minibatches
    if not total:
        done, total = about.epochs_complete, about.total_epochs
    if about.status != "in progress" or not total:
        return ""
    percent = min(100, 100 * done / total)
    return f'<div class="bar"><div style="width:{percent:.1f}%"></div></div>'


def _facts(run: Run) -> str:
    told = "".join(
        f"<div><dt>{name}</dt><dd>{_text(fact)}</dd></div>"
        for name, fact in facts(run.about)
        if name != "progress"  # stands in the head
    )
    archive = f'<div class="wide"><dt>archive</dt><dd>{_text(run.path)}</dd></div>' if run.path else ""
    return f"<dl>{told}{archive}</dl>"


def _values(every: Sequence[Series]) -> str:
    """Return the series that say which direction is better first, with what they said last and at best."""
    series = sorted((one for one in every if one.values.size), key=lambda one: one.direction is None)
    rows = [_row_of(one) for one in series[:_MOST_ROWS]]
    return _table(("series", "last", "best", "at"), rows, numbers=(1, 2), more=len(series) - len(rows))


def _row_of(series: Series) -> tuple[str, ...]:
    last, best = last_of(series), best_of(series)
    name = series.key if series.reported_as is None else f"{series.key} ({series.reported_as})"
    told = "\N{EN DASH}" if last is None else amount(last, series.unit)
    if best is None:
        return name, told, "", ""
    where = f"{series.axis} {best.row:,}" if best.epoch is None else f"epoch {best.epoch:,}"
    return name, told, amount(best.value, series.unit), where


def _costs(run: Run) -> str:
    """Return the slowest callbacks and the newest checkpoints."""
    slow = [_cost(one) for one in run.callback_times[:_MOST_SLOW]]
    newest = newest_checkpoints(run)
    saved = [_saved(one) for one in newest[:_MOST_CHECKPOINTS]]
    return _table(
        ("callback", "time"), slow, numbers=(1,), more=len(run.callback_times) - len(slow)
    ) + _table(("checkpoint", "epoch", "saved"), saved, numbers=(1,), more=len(newest) - len(saved))


def _cost(one: CallbackTime) -> tuple[str, ...]:
    failures = f", failed {_counted(one.failures, 'time')}" if one.failures else ""
    return f"{one.name}{failures}", duration(one.seconds)


def _saved(one: SavedCheckpoint) -> tuple[str, ...]:
    return one.path, str(one.epoch), "" if one.saved_at is None else moment(one.saved_at)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int], more: int) -> str:
    """Return a table of texts, and how many more rows there are; nothing without rows."""
    if not rows:
        return ""
    kinds = [' class="number"' if column in numbers else "" for column in range(len(heads))]
    head = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(kinds, heads, strict=True))
    lines = (
        "".join(f"<td{kind}>{_text(one)}</td>" for kind, one in zip(kinds, row, strict=True)) for row in rows
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    rest = f'<p class="soft">and {more:,} more</p>' if more else ""
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}</div>"


def _charts(run: Run) -> str:
    """Return charts of the first groups of series, and what else there is to see elsewhere."""
    groups = group_series([run])
    charts = "".join(_chart(group, run) for group in groups[:_MOST_CHARTS])
    more = [_counted(len(groups) - _MOST_CHARTS, "more chart")] if len(groups) > _MOST_CHARTS else []
    more += [_counted(len(run.histograms), "histogram")] if run.histograms else []
    more += [f"feature maps of {_counted(len(run.feature_maps), 'layer')}"] if run.feature_maps else []
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
        curves, title=_cut(group.title), x_name="row" if is_row else "epochs", unit=group.unit,
        marks=[] if is_row else seams.tolist(),
    )  # fmt: skip
    names = [
        f'<span><i style="background:{colour}"></i>{_text(line.name)}</span>'
        for colour, line in zip(COLOURS, lines, strict=False)
        if len(lines) > 1 or line.name.casefold() != group.title.casefold()
    ]
    more = (
        f'<span class="soft">and {len(drawn) - len(lines):,} more</span>' if len(drawn) > len(lines) else ""
    )
    caption = f"<figcaption><b>{_text(group.title)}</b>{''.join(names)}{more}</figcaption>"
    return f"<figure>{caption}{svg}</figure>"


def _curve(line: Line, timeline: Timeline, points: int) -> Curve:
    """Return a series as a curve over epochs, with its best value if it is one of few."""
    series = line.series
    rows = thinned(series.values, points)
    best = best_of(series)
    marked = np.flatnonzero(rows == best.row) if best is not None and best.epoch is not None else rows[:0]
    last = amount(float(series.values[rows[-1]]), series.unit)
    at_best = "" if best is None else f", best {amount(best.value, series.unit)}"
    return Curve(
        xs=series.moments(rows, timeline),
        ys=series.values[rows].astype(np.float64),
        told=f"{_cut(series.key)}: last {last}{at_best}",
        best=int(marked[0]) if marked.size else None,
    )


def _counted(number: int, word: str) -> str:
    """Return a number of things: "1 layer", "2 layers"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _cut(text: str) -> str:
    """Return a text, shortened where it is longer than anybody reads."""
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _text(text: str) -> str:
    return escape(_cut(text))
