"""Reading the archive of a run: all of it, as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from trainsignal import files
from trainsignal.errors import ArchiveError
from trainsignal.report.about import read_about, read_callback_times
from trainsignal.report.attributes import as_text
from trainsignal.report.contents import Contents
from trainsignal.report.feature_maps import read_feature_maps
from trainsignal.report.histograms import read_histograms
from trainsignal.report.opening import opened
from trainsignal.report.progress import Progress, read_progress, timeline_of
from trainsignal.report.records import Run, Series
from trainsignal.report.series import read_series
from trainsignal.shared_data.foreign import READ_ERRORS

MOST_PROBLEMS: Final = 50
"""Sentences; of more it is said how many."""


def read_run(path: str | Path, *, name: str | None = None) -> Run:
    """Return what the archive at `path` holds.

    What is damaged, leads out of the file or is too large is left out, and told in `Run.problems`.

    Args:
        path: of the archive; `~` and `$NAME` are filled in.
        name: what the run is called; None: as its file, without the suffix.

    Raises:
        ArchiveError: there is no archive, or nothing of it can be read.
        ConfigurationError: `path` is neither text nor a path object.
    """
    target = files.expand(path)
    with opened(target) as file:
        run = read_file(file, name=target.stem if name is None else name, path=str(target))
    if not (run.series or run.histograms or run.feature_maps or run.about.run_id or run.about.total_epochs):
        found = f" ({run.problems[0]})" if run.problems else ""
        raise ArchiveError(
            f"{str(target)!r} is an HDF5 file, but not the archive of a run: nothing in it could be shown"
            f"{found}. Give the file that `output_file` named when the run was begun."
        )
    return run


def read_file(file: Any, *, name: str, path: str) -> Run:
    """Return what an open archive holds.

    Args:
        file: an `h5py.File`, or the `SharedData` of a run in this process.
        name: what the run is called.
        path: of the archive; "" for one in memory.

    Raises:
        ArchiveError: nothing of it can be read.
    """
    problems: list[str] = []
    try:
        contents = Contents(file, problems.append)
    except READ_ERRORS as error:
        raise ArchiveError(f"the archive {path!r} is damaged: {error}") from error
    progress = read_progress(contents)
    series = tuple(read_series(contents, progress))
    about = read_about(contents, progress, _minibatches_done(series, progress), path)
    epochs_told = max(
        (int(one.epochs[-1]) + 1 for one in series if one.epochs is not None and one.epochs.size), default=0
    )
    if not progress.has_markers:
        problems.append("the archive does not say where epochs end: they are drawn as equally long")
    return Run(
        name=as_text(name) or "",
        path=path,
        about=about,
        timeline=timeline_of(progress, about, epochs_told),
        series=series,
        histograms=tuple(read_histograms(contents, progress)),
        feature_maps=tuple(read_feature_maps(contents)),
        callback_times=read_callback_times(contents),
        problems=_first(problems),
    )


def _minibatches_done(series: Iterable[Series], progress: Progress) -> int:
    """Return how many minibatches were done, as far as markers and series tell."""
    rows = (one.values.size for one in series if one.axis == "minibatch" and not one.holds_from_begin)
    return max(progress.minibatches, *rows, 0)


def _first(problems: list[str]) -> tuple[str, ...]:
    """Return the first problems, and how many more there are."""
    more = len(problems) - MOST_PROBLEMS
    kept = tuple(problems[:MOST_PROBLEMS])
    return (*kept, f"and {more:,} more such problems") if more > 0 else kept
