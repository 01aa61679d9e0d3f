"""What ran, when, how far it came, and why it ended."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, cast, get_args

import numpy as np

from trainsignal import files, keys
from trainsignal.report import attributes
from trainsignal.report.attributes import as_text
from trainsignal.report.contents import Contents, is_numeric, written_length
from trainsignal.report.progress import Progress
from trainsignal.report.records import About, CallbackTime, SavedCheckpoint, Status
from trainsignal.run_link import ExitReason

MOST_ROWS: Final = 10_000
"""Of the tables of checkpoints and of callbacks; of more, the last."""

_LATEST: Final = 2.5e11
"""Seconds since 1970-01-01 UTC, shortly before the year 9999, in which calendars end."""

_LONGEST_LOCK: Final = 32


def read_about(
    contents: Contents,
    progress: Progress,
    minibatches_done: int,
    path: str,
    clock: Callable[[], float] = time.time,
) -> About:
    """Return what the archive says of the run itself.

    Args:
        contents: of the archive.
        progress: what its markers say.
        minibatches_done: as far as any series tells.
        path: of the archive; "" for a run of this process whose data is in memory.
        clock: seconds since 1970-01-01 UTC.
    """
    config = contents.group(keys.CONFIG)
    noted = [one for one in attributes.numbers(config, keys.STARTED_AT).tolist() if _is_moment(one)]
    reason = attributes.text(config, keys.EXIT_REASON)
    is_told = reason in get_args(ExitReason)
    status = cast("Status", reason) if is_told else writer_status(path)
    started_at = noted[0] if noted else _moment_at(contents, keys.TRAIN_START)
    ended_at = _ended_at(contents, status, path, clock)
    resumed_at = attributes.numbers(config, keys.RESUMED_AT)
    return About(
        run_id=attributes.text(config, keys.RUN_ID),
        model=attributes.text(config, keys.MODEL_CLASS),
        script=attributes.text(config, keys.SCRIPT),
        host=attributes.text(config, keys.HOST),
        version=attributes.text(config, keys.VERSION),
        callbacks=attributes.texts(config, keys.CALLBACKS),
        started_at=started_at,
        ended_at=ended_at if ended_at is not None and ended_at >= (started_at or 0) else None,
        epochs_complete=progress.epochs,
        total_epochs=progress.total_epochs,
        minibatches_done=minibatches_done,
        total_minibatches=progress.total_minibatches,
        status=status,
        detail=attributes.text(config, keys.EXIT_DETAIL) if is_told else None,
        author=attributes.text(config, keys.EXIT_AUTHOR) if is_told else None,
        resumed_at=tuple(int(one) for one in resumed_at.tolist() if 0 <= one < 2**53),
        checkpoints=read_checkpoints(contents),
    )


def read_checkpoints(contents: Contents) -> tuple[SavedCheckpoint, ...]:
    """Return the checkpoints that the run saved, in that order; none where nobody listed them."""
    with contents.telling(keys.CHECKPOINTS):
        dataset = contents.dataset(keys.CHECKPOINTS)
        if dataset is None:
            return ()
        if dataset.dtype.names != keys.CHECKPOINT_COLUMNS or len(dataset.shape) != 1:
            raise ValueError(f"it is no table of {', '.join(keys.CHECKPOINT_COLUMNS)}")
        end = written_length(dataset, 0)
        rows = contents.read(dataset, (slice(max(0, end - MOST_ROWS), end),)).tolist()
        return tuple(one for one in map(_checkpoint, rows) if one is not None)
    return ()


def read_callback_times(contents: Contents) -> tuple[CallbackTime, ...]:
    """Return what the callbacks cost, the slowest first."""
    with contents.telling(keys.CALLBACK_TIMES):
        dataset = contents.dataset(keys.CALLBACK_TIMES)
        if dataset is None:
            return ()
        if not is_numeric(dataset) or len(dataset.shape) != 1:
            raise ValueError("it is no row of numbers")
        seconds = contents.read(dataset, (slice(0, min(written_length(dataset, 0), MOST_ROWS)),)).tolist()
        names = attributes.texts(dataset, keys.NAMES)
        failures = attributes.numbers(dataset, keys.FAILURES)
        counts = np.where(np.isfinite(failures) & (np.abs(failures) < 2**53), failures, 0).astype(np.int64)
        if len(names) != len(seconds):
            raise ValueError(f"it has {len(seconds)} numbers for {len(names)} names")
        padded = np.append(counts, np.zeros(len(names), np.int64)).tolist()
        costs = [CallbackTime(*one) for one in zip(names, seconds, padded, strict=False)]
        return tuple(sorted((one for one in costs if np.isfinite(one.seconds)), key=lambda one: -one.seconds))
    return ()


def _checkpoint(row: Any) -> SavedCheckpoint | None:
    path, epoch, minibatch, saved_at = row
    text = as_text(path)
    if text is None or not isinstance(epoch, int) or not isinstance(minibatch, int):
        return None
    return SavedCheckpoint(text, epoch, minibatch, saved_at if _is_moment(saved_at) else None)


def writer_status(path: str) -> Status:
    """Return the state of a run whose archive at `path` notes no end; "": of one in this process."""
    if not path:
        return "in progress"
    archive = Path(path).resolve()
    try:
        with archive.with_name(f"{archive.name}.lock").open("rb") as lock:
            holder = lock.read(_LONGEST_LOCK)
    except OSError:
        return "unknown"
    match = re.fullmatch(rb"([1-9][0-9]*)\s*", holder)
    if match is None:
        return "unknown"
    return "in progress" if files.is_alive(int(match[1])) else "killed"


def _ended_at(contents: Contents, status: Status, path: str, clock: Callable[[], float]) -> float | None:
    """Return when the run ended; where nobody noted that, when the file was last written."""
    noted = _moment_at(contents, keys.TRAIN_END)
    if noted is not None and status not in ("in progress", "killed"):  # which may be of before a resumption
        return noted
    if not path:
        return clock()
    try:
        return Path(path).stat().st_mtime
    except OSError:  # it vanished meanwhile
        return None


def _moment_at(contents: Contents, path: str) -> float | None:
    """Return the seconds since 1970-01-01 UTC in a dataset of one number; None without."""
    with contents.telling(path):
        dataset = contents.dataset(path)
        if dataset is not None and is_numeric(dataset) and dataset.shape == (1,):
            seconds = float(contents.read(dataset)[0])
            return seconds if _is_moment(seconds) else None
    return None


def _is_moment(seconds: object) -> bool:
    return isinstance(seconds, float) and 0 < seconds < _LATEST
