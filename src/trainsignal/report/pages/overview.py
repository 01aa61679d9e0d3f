"""What ran, when, how far it came, why it ended; last and best values; checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from trainsignal.report.attributes import as_text
from trainsignal.report.facts import facts, newest_checkpoints
from trainsignal.report.html_parts import (
    CHECKPOINT_HEADS,
    NUMBERS,
    SERIES_HEADS,
    checkpoint_cells,
    headline,
    progress_bar,
    series_cells,
    table,
)
from trainsignal.report.pages import markup
from trainsignal.report.records import About, Run, Series

_SERIES_SHOWN = 30
_CHECKPOINTS_SHOWN = 10


class Overview:
    """The head of a page.

    Args:
        run: what it tells of.

    Attributes:
        model: Bokeh's element.
    """

    def __init__(self, run: Run) -> None:
        self.model: Any = markup.element()
        self._rows: dict[Series, list[str]] = {}
        self.update(run)

    def update(self, run: Run) -> None:
        """Show the run as it is now; a series that is still the same object is not read again."""
        self._rows = {one: self._rows.get(one) or series_cells(one) for one in run.series}
        self.model.text = "".join(
            [
                _notices(run.problems),
                headline(f"<h1>{escape(run.name)}</h1>", run.about),
                progress_bar(run.about),
                _facts(run),
                f'<div class="beside">{_series(list(self._rows.values()))}{_checkpoints(run)}</div>',
            ]
        )


def _notices(notices: Sequence[str]) -> str:
    if not notices:
        return ""
    if len(notices) == 1:
        return f'<div class="notice" role="status">{escape(notices[0])}</div>'
    lines = "".join(f"<li>{escape(one)}</li>" for one in notices)
    return f'<div class="notice" role="status"><ul>{lines}</ul></div>'


def _facts(run: Run) -> str:
    told = [*facts(run.about), ("archive", as_text(run.path))]
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(fact)}</dd></div>" for name, fact in told if fact)
    return f'<dl class="facts">{rows}{_callbacks(run.about)}</dl>'


def _callbacks(about: About) -> str:
    if not about.callbacks:
        return ""
    names = "".join(f"<li>{escape(name)}</li>" for name in about.callbacks)
    folded = markup.folded("callbacks", f"{len(about.callbacks)}, in their order", f"<ol>{names}</ol>")
    return f'<div class="wide"><dt>callbacks</dt><dd>{folded}</dd></div>'


def _series(rows: list[list[str]]) -> str:
    return _section("series", "Series", SERIES_HEADS, rows, _SERIES_SHOWN)


def _checkpoints(run: Run) -> str:
    rows = [checkpoint_cells(one) for one in newest_checkpoints(run)]
    return _section("checkpoints", "Checkpoints", CHECKPOINT_HEADS, rows, _CHECKPOINTS_SHOWN)


def _section(name: str, title: str, heads: Sequence[str], rows: list[list[str]], shown: int) -> str:
    """Return a table under its title, what is beyond `shown` rows folded; nothing without rows."""
    if not rows:
        return ""
    first, rest = rows[:shown], rows[shown:]
    more = markup.folded(name, f"{len(rest):,} more", table(heads, rest, NUMBERS)) if rest else ""
    return f"<section><h2>{title}</h2>{table(heads, first, NUMBERS)}{more}</section>"
