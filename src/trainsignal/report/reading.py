"""Reading the archive of a run as plain values: all of it, or as much as is shown."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from trainsignal import files, keys
from trainsignal.errors import ArchiveError
from trainsignal.report.about import read_about
from trainsignal.report.attributes import as_text
from trainsignal.report.callback_costs import read_callback_times
from trainsignal.report.contents import Contents
from trainsignal.report.feature_maps import map_layers, read_feature_maps
from trainsignal.report.histograms import count_histograms, read_histograms
from trainsignal.report.opening import REMEDY, opened
from trainsignal.report.progress import Progress, read_progress, timeline_of
from trainsignal.report.records import Run, Series, Summary
from trainsignal.report.series import read_series, series_at
from trainsignal.shared_data.foreign import READ_ERRORS

MOST_PROBLEMS: Final = 50
"""Sentences; of more it is said how many."""


def read_run(path: str | Path, *, name: str | None = None, drawings: bool = True) -> Run:
    """Return what the archive at `path` holds.

    What is damaged, leads out of the file or is too large is left out, and told in `Run.problems`.

    Args:
        path: of the archive; `~` and `$NAME` are filled in.
        name: what the run is called; None: as its file, without the suffix.
        drawings: whether histograms and feature maps, which are large, are read too.

    Raises:
        ArchiveError: there is no archive, or nothing of it can be read.
        ConfigurationError: `path` is neither text nor a path object.
    """
    return read_found_run(files.expand(path), name=name, drawings=drawings)


def read_found_run(path: Path, *, name: str | None = None, drawings: bool = True) -> Run:
    """Return what the archive at `path` holds, as `read_run` does; nothing in `path` is filled in.

    For paths that were found in a folder, or filled in before: a file may be called `$HOME.h5`.

    Raises:
        ArchiveError: there is no archive, or nothing of it can be read.
    """
    with opened(path) as archive:
        problems: list[str] = []
        contents = _contents(archive.file, problems, str(path), archive.longest_text_bytes)
        called = path.stem if name is None else name
        run = _run(contents, problems, name=called, path=str(path), drawings=drawings)
    is_drawn = run.histograms or run.feature_maps if drawings else run.histogram_count or run.map_layer_count
    if not (run.series or is_drawn or run.about.run_id or run.about.total_epochs):
        found = f" ({run.problems[0]})" if run.problems else ""
        raise ArchiveError(
            f"{str(path)!r} is an HDF5 file, but not the archive of a run: nothing in it could be shown"
            f"{found}. {REMEDY}"
        )
    return run


def read_summary(path: Path) -> Summary:
    """Return what a list of runs tells of the archive at `path`; reads little of a large one.

    Args:
        path: of the archive; nothing in it is filled in.

    Raises:
        ArchiveError: there is no archive, or nothing in it says that it is one.
    """
    with opened(path) as archive:
        contents = _contents(archive.file, [], str(path), archive.longest_text_bytes)
        progress = read_progress(contents)
        costs = series_at(contents, keys.TRAIN_COST, progress) or ()
        about = read_about(contents, progress, _minibatches_done(costs, progress), str(path))
        losses = series_at(contents, keys.LOSS, progress)
        is_run = progress.has_markers or about.run_id or about.total_epochs
        if not (is_run or losses or keys.TRAIN_COST in contents.datasets):
            raise ArchiveError(f"{str(path)!r} is an HDF5 file, but not the archive of a run. {REMEDY}")
    return Summary(about, losses[0] if losses else None)


def read_file(file: Any, *, name: str, path: str, drawings: bool = True) -> Run:
    """Return what an open archive holds.

    Args:
        file: an `h5py.File` that this process has written, or the `SharedData` of a run in it.
        name: what the run is called.
        path: of the archive; "" for one in memory.
        drawings: whether histograms and feature maps, which are large, are read too.

    Raises:
        ArchiveError: nothing of it can be read.
    """
    problems: list[str] = []
    return _run(_contents(file, problems, path), problems, name=name, path=path, drawings=drawings)


def _contents(file: Any, problems: list[str], path: str, longest_text_bytes: int = 0) -> Contents:
    """Return what is in an open archive, whose problems are told to that list.

    Raises:
        ArchiveError: nothing of it can be read.
    """
    try:
        return Contents(file, problems.append, longest_text_bytes=longest_text_bytes)
    except READ_ERRORS as error:
        raise ArchiveError(f"the archive {path!r} is damaged: {error}") from error


def _run(contents: Contents, problems: list[str], *, name: str, path: str, drawings: bool) -> Run:
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
        histograms=tuple(read_histograms(contents, progress)) if drawings else (),
        feature_maps=tuple(read_feature_maps(contents)) if drawings else (),
        histogram_count=count_histograms(contents),
        map_layer_count=len(map_layers(contents)),
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
