"""What ran, when, how far it came, why it ended; last and best values; checkpoints."""

from __future__ import annotations

from html import escape
from typing import Any

from trainsignal.report.best import best_of, last_of
from trainsignal.report.facts import facts, newest_checkpoints
from trainsignal.report.pages import markup
from trainsignal.report.records import About, Run, SavedCheckpoint, Series
from trainsignal.report.wording import amount, ending, moment

_SERIES_SHOWN = 30
_CHECKPOINTS_SHOWN = 10

_TONES = {
    "completed": "good",
    "stopped": "busy",
    "in progress": "busy",
    "interrupted": "warn",
    "preempted": "warn",
    "failed": "bad",
    "killed": "bad",
}
"""Class in the style sheet by status; a status that is not here stays grey."""


class Overview:
    """The head of a page.

    Args:
        run: what it tells of.

    Attributes:
        model: Bokeh's element.
    """

    def __init__(self, run: Run) -> None:
        self.model: Any = markup.element()
        self.update(run)

    def update(self, run: Run, notice: str | None = None) -> None:
        """Show the run as it is now.

        Args:
            run: read anew.
            notice: what a reader should know first, such as that the archive is gone; None: nothing.
        """
        notices = ([] if notice is None else [notice]) + list(run.problems)
        self.model.text = "".join(
            [
                _notices(notices),
                _headline(run),
                _progress_bar(run.about),
                _facts(run),
                f'<div class="beside">{_series(run)}{_checkpoints(run)}</div>',
            ]
        )


def _notices(notices: list[str]) -> str:
    if not notices:
        return ""
    if len(notices) == 1:
        return f'<div class="notice" role="status">{escape(notices[0])}</div>'
    lines = "".join(f"<li>{escape(one)}</li>" for one in notices)
    return f'<div class="notice" role="status"><ul>{lines}</ul></div>'


def _headline(run: Run) -> str:
    status = run.about.status
    words = ending(run.about)
    why = "" if words == status else f"<p>{escape(words[0].upper() + words[1:])}</p>"
    pill = f'<span class="pill {_TONES.get(status, "")}">{status}</span>'
    return f'<div class="headline"><h1>{escape(run.name)}</h1>{pill}</div>{why}'


def _progress_bar(about: About) -> str:
    """Return how far a run in progress is; by minibatches where it is known how many there will be."""
    if about.status != "in progress":
        return ""
    if about.total_minibatches:
        done, of = about.minibatches_done, about.total_minibatches
    elif about.total_epochs:
        done, of = about.epochs_complete, about.total_epochs
    else:
        return ""
    return f'<progress value="{done}" max="{of}" aria-label="progress">{done} of {of}</progress>'


def _facts(run: Run) -> str:
    told = [*facts(run.about), ("archive", run.path)]
    rows = "".join(f"<div><dt>{name}</dt><dd>{escape(fact)}</dd></div>" for name, fact in told if fact)
    return f'<dl class="facts">{rows}{_callbacks(run.about)}</dl>'


def _callbacks(about: About) -> str:
    if not about.callbacks:
        return ""
    names = "".join(f"<li>{escape(name)}</li>" for name in about.callbacks)
    folded = markup.folded("callbacks", f"{len(about.callbacks)}, in their order", f"<ol>{names}</ol>")
    return f'<div class="wide"><dt>callbacks</dt><dd>{folded}</dd></div>'


def _series(run: Run) -> str:
    rows = [_values(one) for one in run.series]
    return _section("series", "Series", ["series", "last", "best", "at"], rows, _SERIES_SHOWN, numbers=(1, 2))


def _values(series: Series) -> list[str]:
    """Return the cells of a series: its name, its last value, its best value, and where that stands."""
    name = escape(series.key)
    if series.reported_as not in (None, series.key.rpartition("/")[2]):
        name += f' <span class="soft">{escape(str(series.reported_as))}</span>'
    last, best = last_of(series), best_of(series)
    shown = "&ndash;" if last is None else escape(amount(last, series.unit))
    if best is None:
        return [name, shown, "", ""]
    where = f"{series.axis} {best.row:,}" if best.epoch is None else f"epoch {best.epoch:,}"
    return [name, shown, escape(amount(best.value, series.unit)), where]


def _checkpoints(run: Run) -> str:
    rows = [_saved(one) for one in newest_checkpoints(run)]
    heads = ["checkpoint", "epoch", "minibatch", "saved"]
    return _section("checkpoints", "Checkpoints", heads, rows, _CHECKPOINTS_SHOWN, numbers=(1, 2))


def _saved(one: SavedCheckpoint) -> list[str]:
    saved_at = "" if one.saved_at is None else _unbroken(moment(one.saved_at))
    return [escape(one.path), f"{one.epoch:,}", f"{one.minibatch:,}", saved_at]


def _unbroken(text: str) -> str:
    return f'<span class="unbroken">{text}</span>'


def _section(
    name: str, title: str, heads: list[str], rows: list[list[str]], shown: int, numbers: tuple[int, ...]
) -> str:
    """Return a table under its title, what is beyond `shown` rows folded; nothing without rows."""
    if not rows:
        return ""
    first, rest = rows[:shown], rows[shown:]
    more = markup.folded(name, f"{len(rest):,} more", markup.table(heads, rest, numbers)) if rest else ""
    return f"<section><h2>{title}</h2>{markup.table(heads, first, numbers)}{more}</section>"
