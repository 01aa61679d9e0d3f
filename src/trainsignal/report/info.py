"""A run in the terminal: what ran and how it ended, its series with last and best values, small charts.

Plain text, without colours. Prints nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from trainsignal import keys
from trainsignal.errors import MissingPackageError
from trainsignal.report.facts import drawn_elsewhere, facts, newest_checkpoints
from trainsignal.report.line_charts import LEAST_WIDTH, can_be_drawn, import_uniplot, line_chart
from trainsignal.report.records import Run, Series
from trainsignal.report.series_table import series_table
from trainsignal.report.terminal_text import literal
from trainsignal.report.wording import duration, ending, failed

_FIRST_GROUPS = tuple(
    key.partition("/")[0] for key in (keys.LOSSES, keys.METRICS, keys.MULTICOST_TRAIN, keys.GAN_COST)
)
"""Groups of the series that people look at first; these have charts."""

_MOST_ROWS, _MOST_CHARTS, _MOST_CALLBACKS, _MOST_CHECKPOINTS = 40, 8, 5, 3
_WIDEST = 100
_LABEL_COLUMNS = 13


def describe(
    run: Run, *, width: int = 80, encoding: str = "utf-8", charts: bool = True, every_series: bool = False
) -> str:
    """Return what a terminal shows of a run, without a newline at its end.

    What an archive says is shown literally: control characters as escapes.

    Args:
        run: any.
        width: columns of the terminal.
        encoding: of the terminal; the text holds only what it has.
        charts: whether to draw the losses, metrics and costs; needs uniplot, and says so where it is missing.
        every_series: whether the table and the charts leave none out.
    """
    series = sorted(run.series, key=_rank)
    parts = [_overview(run, width, encoding), _table(series, width, encoding, every_series)]
    if charts and width >= LEAST_WIDTH:
        parts += _charts(run, series, min(width, _WIDEST), encoding, every_series)
    return "\n\n".join(parts)


def _rank(series: Series) -> int:
    """Return where the group of a series stands among those that people look at first."""
    group = series.key.partition("/")[0]
    return _FIRST_GROUPS.index(group) if group in _FIRST_GROUPS else len(_FIRST_GROUPS)


def _overview(run: Run, width: int, encoding: str) -> str:
    lines: list[str] = []
    for label, text in [*_facts(run), *_checkpoints(run), *_times(run), *_drawn(run), *_problems(run)]:
        lines += textwrap.wrap(
            literal(text, encoding),
            max(width, 2 * _LABEL_COLUMNS),
            initial_indent=f"{label:<{_LABEL_COLUMNS}}",
            subsequent_indent=" " * _LABEL_COLUMNS,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _facts(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what ran, how far it came and why it ended, each with its label."""
    yield "run", run.name
    if run.path:
        yield "archive", run.path
    yield "state", ending(run.about)
    yield from facts(run.about)


def _checkpoints(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the newest checkpoints, the newest last."""
    saved = newest_checkpoints(run)
    for one in reversed(saved[:_MOST_CHECKPOINTS]):
        yield "checkpoint", f"{one.path} (epoch {one.epoch})"
    if len(saved) > _MOST_CHECKPOINTS:
        yield "", f"and {len(saved) - _MOST_CHECKPOINTS} older"


def _times(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the slowest callbacks."""
    for callback in run.callback_times[:_MOST_CALLBACKS]:
        yield "time", f"{duration(callback.seconds):<11}{callback.name}"


def _drawn(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what else there is to see, but only on pages."""
    told = drawn_elsewhere(run)
    if told:
        yield "also", f"{' and '.join(told)}: `trainsignal report` draws them"


def _problems(run: Run) -> Iterator[tuple[str, str]]:
    """Yield callbacks that failed, and what could not be read."""
    for callback in run.callback_times:
        if callback.failures:
            yield "problem", f"{callback.name} {failed(callback.failures)}"
    for problem in run.problems:
        yield "problem", problem


def _table(series: Sequence[Series], width: int, encoding: str, every_series: bool) -> str:
    if not series:
        return "no series"
    shown = series if every_series else series[:_MOST_ROWS]
    lines = series_table(shown, width=width, encoding=encoding)
    if len(series) > len(shown):
        lines.append(f"and {len(series) - len(shown)} more series: --all shows them")
    return "\n".join(lines)


def _charts(
    run: Run, series: Sequence[Series], width: int, encoding: str, every_series: bool
) -> Iterator[str]:
    main = [one for one in series if _rank(one) < len(_FIRST_GROUPS) and can_be_drawn(one)]
    if not main:
        return
    try:
        import_uniplot()
    except MissingPackageError as error:
        yield f"no charts: {error}"
        return
    shown = main if every_series else main[:_MOST_CHARTS]
    for one in shown:
        yield line_chart(one, run.timeline, width=width, encoding=encoding)
    if len(main) > len(shown):
        yield f"{len(main) - len(shown)} more charts: --all shows them"
