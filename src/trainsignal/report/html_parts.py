"""What stands in HTML of a run, the same on pages and in notebooks; each has a style sheet with its classes.

Text of archives is escaped. Knows neither Bokeh nor IPython.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from types import MappingProxyType
from typing import Final

from trainsignal.report.best import best_of, last_of, place_of
from trainsignal.report.records import About, CallbackTime, SavedCheckpoint, Series, Status
from trainsignal.report.wording import amount, ending, failed, moment

SERIES_HEADS: Final = ("series", "last", "best", "at")
CHECKPOINT_HEADS: Final = ("checkpoint", "epoch", "minibatch", "saved")
NUMBERS: Final = (1, 2)
"""The columns of both that hold numbers."""

_TONES: Final = MappingProxyType({
    "completed": "good", "stopped": "busy", "in progress": "busy", "interrupted": "warn",
    "preempted": "warn", "failed": "bad", "killed": "bad", "unknown": "unknown",
})  # fmt: skip
"""Class in the style sheets by status."""


def headline(name: str, about: About) -> str:
    """Return the name of a run, which is HTML, its status, and a sentence on why it ended."""
    why = ending(about)
    sentence = "" if why == about.status else f"<p>{escape(why[0].upper() + why[1:])}</p>"
    return f'<div class="headline">{name}{pill(about.status)}</div>{sentence}'


def pill(status: Status) -> str:
    """Return a status in its colour."""
    return f'<span class="pill {_TONES[status]}">{status}</span>'


def progress_bar(about: About) -> str:
    """Return how far a run in progress is; by minibatches where it is known how many there will be."""
    done, total = about.minibatches_done, about.total_minibatches
    if not total:
        done, total = about.epochs_complete, about.total_epochs
    if about.status != "in progress" or not total:
        return ""
    return f'<progress value="{done}" max="{total}" aria-label="progress">{done} of {total}</progress>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Return a table; where there is little room, it scrolls by itself.

    Args:
        heads: HTML, one a column.
        rows: HTML, each of as many cells.
        numbers: 0-based columns that stand flush right.
    """
    kinds = [' class="number"' if column in numbers else "" for column in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{cell}</th>' for kind, cell in zip(kinds, heads, strict=True))
    lines = ("".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scrolled"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def series_cells(series: Series) -> list[str]:
    """Return the cells of a series below `SERIES_HEADS`."""
    name = escape(series.key)
    if series.reported_as not in (None, series.key.rpartition("/")[2]):
        name += f' <span class="soft">{escape(str(series.reported_as))}</span>'
    last, best = last_of(series), best_of(series)
    shown = "&ndash;" if last is None else escape(amount(last, series.unit))
    if best is None:
        return [name, shown, "", ""]
    return [name, shown, escape(amount(best.value, series.unit)), place_of(best, series)]


def checkpoint_cells(one: SavedCheckpoint) -> list[str]:
    """Return the cells of a checkpoint below `CHECKPOINT_HEADS`."""
    saved_at = "" if one.saved_at is None else f'<span class="unbroken">{moment(one.saved_at)}</span>'
    return [escape(one.path), f"{one.epoch:,}", f"{one.minibatch:,}", saved_at]


def callback_name(one: CallbackTime) -> str:
    """Return what a callback is called, and whether it failed."""
    mark = f' <span class="failed">⚠ {failed(one.failures)}</span>' if one.failures else ""
    return escape(one.name) + mark
